import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loadConfig } from '../../installer/config/load.ts';
import { formatProblem } from '../../installer/config/problem.ts';
import { GENERATED, staleFiles } from '../../scripts/dev/docs.ts';
import { problemsOf, ROOT, warningsOf } from './support.ts';

const example = readFileSync(join(ROOT, 'config.example.yaml'), 'utf8');

t.test('the generated files are fresh', async (t) => {
  t.strictSame(await staleFiles(), [], 'run: npm run docs');
});

t.test('a file that was changed by hand is noticed', async (t) => {
  const copies = Object.fromEntries(
    GENERATED.map(({ path, text }) => [path.replaceAll('/', '_'), text()]),
  );
  t.ok(Object.keys(copies).length >= 3);
  const root = t.testdir({
    'config.example.yaml': `${example}# by hand\n`,
    'config.schema.json': GENERATED.find(({ path }) => path === 'config.schema.json')?.text() ?? '',
  });
  const stale = await staleFiles(root);
  t.ok(stale.includes('config.example.yaml'));
  t.ok(stale.includes('docs/reference/config.md'), 'a missing file is stale');
  t.notOk(stale.includes('config.schema.json'));
});

t.test('the example is a valid config', async (t) => {
  t.strictSame(problemsOf(example), []);
  t.strictSame(warningsOf(example), []);
});

t.test(
  'every line of the example can be turned on: no type is wrong and no key unknown',
  async (t) => {
    // A comment has one blank behind its #, a line that is off has none, or more for its depth.
    const everything = example.replaceAll(/^(\s*)#(?! \S|$)/gm, '$1');
    t.notMatch(everything, /^\s*#\w/m);
    const loaded = loadConfig(everything, 'config.yaml');
    const shape = [
      'config/unknown-key',
      'config/wrong-value',
      'config/missing',
      'config/name',
      'config/syntax',
    ];
    const problems = loaded.ok ? [] : loaded.problems;
    t.strictSame(problems.filter(({ code }) => shape.includes(code)).map(formatProblem), []);
    t.ok(everything.split('\n').length > 300);
  },
);

t.test('the example names every key of the language', async (t) => {
  const schema: unknown = JSON.parse(readFileSync(join(ROOT, 'config.schema.json'), 'utf8'));
  const keys = new Set(keysOf(schema));
  t.ok(keys.size > 250);
  const missing = [...keys].filter((key) => !new RegExp(`[\\s{,#]${key}: ?`).test(example));
  t.strictSame(missing, []);
});

t.test(
  'every key has a description, and every pattern is one that editors understand',
  async (t) => {
    const schema: unknown = JSON.parse(readFileSync(join(ROOT, 'config.schema.json'), 'utf8'));
    const undescribed: string[] = [];
    const foreign: string[] = [];
    const patterns: string[] = [];
    visit(schema, '', (node, path) => {
      const pattern = node['pattern'];
      if (typeof pattern === 'string') patterns.push(pattern);
      for (const [key, child] of Object.entries(asRecord(node['properties']))) {
        const { description, const: constant } = asRecord(child);
        if (description === undefined && constant === undefined) undescribed.push(`${path}.${key}`);
      }
      for (const own of ['kind', 'unit', 'defaultText']) {
        if (!path.endsWith('.properties') && own in node) foreign.push(`${path}.${own}`);
      }
    });
    t.strictSame(undescribed, []);
    t.strictSame(foreign, []);
    t.ok(patterns.length > 50);
    t.doesNotThrow(() => patterns.map((pattern) => new RegExp(pattern, 'u')));
  },
);

function keysOf(schema: unknown): string[] {
  const keys: string[] = [];
  visit(schema, '', (node) => keys.push(...Object.keys(asRecord(node['properties']))));
  return keys;
}

function visit(
  value: unknown,
  path: string,
  look: (node: Readonly<Record<string, unknown>>, path: string) => void,
): void {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) look(asRecord(value), path);
  for (const [key, child] of Object.entries(value)) {
    if (!['default', 'examples', 'enum'].includes(key)) visit(child, `${path}.${key}`, look);
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
