import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { commandTable } from '../../installer/cli/table.ts';
import { loadConfig } from '../../installer/config/load.ts';
import { PACKAGE_ROOT } from '../support/component-input.ts';

const pages = globSync(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: PACKAGE_ROOT })
  .filter((page) => !page.includes('node_modules'))
  .sort();
const text = (page: string): string => readFileSync(join(PACKAGE_ROOT, page), 'utf8');

t.test('a complete config in a page is valid', async (t) => {
  let checked = 0;
  for (const page of pages) {
    for (const [, block = ''] of text(page).matchAll(/```yaml\n([\s\S]*?)```/g)) {
      if (!block.includes('version: 1')) continue;
      checked += 1;
      const loaded = loadConfig(block, page);
      t.strictSame(loaded.ok ? [] : loaded.problems, [], page);
    }
  }
  t.ok(checked > 0, 'there is one');
});

t.test('a link inside the repository leads somewhere', async (t) => {
  for (const page of pages) {
    for (const [, target = ''] of text(page).matchAll(
      /\]\((?!https?:|mailto:)([^)#\s]+)[^)]*\)/g,
    )) {
      t.ok(existsSync(join(PACKAGE_ROOT, dirname(page), target)), `${page}: ${target}`);
    }
  }
});

t.test('a command in a page exists', async (t) => {
  const names = commandTable.map(({ name }) => name);
  const families = new Set(names.map((name) => name.split(' ')[0]));
  for (const page of pages) {
    for (const [, first = '', second = ''] of text(page).matchAll(
      /(?:^ {4}|`)(?:sudo )?holdfast ([a-z][a-z-]*)(?: ([a-z-]+))?/gm,
    )) {
      const isKnown =
        names.includes(`${first} ${second}`) ||
        names.includes(first) ||
        (second === '' && families.has(first));
      t.ok(isKnown, `${page}: holdfast ${first} ${second}`);
    }
  }
});

t.test('the version of the package has an entry in the changelog', async (t) => {
  const { version } = JSON.parse(text('package.json')) as { version: string };
  t.match(text('CHANGELOG.md'), new RegExp(`^## ${version.replaceAll('.', '\\.')} `, 'm'));
});
