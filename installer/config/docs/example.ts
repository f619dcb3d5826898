import { isRecord } from '../is-record.ts';
import { languageSchema, type SchemaNode } from '../json-schema.ts';
import { type Shape, shapeOf } from './sample.ts';
import { inlineYaml } from './yaml-text.ts';

/**
 * What `config.example.yaml` turns on; the schema supplies all else as comments. The file as it stands brings up
 * the demo app on any machine: nothing to sign up for, no name to register.
 */
const ACTIVE = {
  version: 1,
  project: 'demo',
  domain: 'localhost',
  contact: 'ops@example.com',
  services: {
    web: {
      build: { context: 'examples/demo' },
      port: 3000,
      replicas: 2,
      resources: { memory: '128m' },
      health: { path: '/health', expect: '"status":"ok"' },
      metrics: { path: '/metrics' },
      migrate: ['node', 'src/migrate.cjs'],
      routes: [{ path: '/', websocket: true }],
      uses: ['postgres', 'redis'],
    },
  },
  tls: { issuer: 'selfsigned' },
  postgres: { maxConnections: 100 },
  redis: { purpose: 'cache', maxMemory: '64m' },
  backups: {
    provider: 'local',
    jobs: [{ name: 'daily', source: 'postgres', cron: '0 2 * * *', keepRemote: '30d' }],
  },
} as const;

const HEADER = `# yaml-language-server: $schema=./config.schema.json
#
# Everything that holdfast can be told, with a default or an example for each key.
# Lines that are on make a complete config. To turn on another one, take its first # away,
# and that of the lines above it that it belongs to.
# This file is generated from the schema: npm run docs
`;

const WIDTH = 100;

/** `config.example.yaml`. */
export function exampleConfig(): string {
  const lines: string[] = [];
  for (const [key, node] of Object.entries(languageSchema().properties ?? {})) {
    lines.push(
      '',
      ...prose(node, 0, undefined),
      ...entry(key, node, own(ACTIVE, key), 0, undefined),
    );
  }
  return `${HEADER}${lines.join('\n')}\n`;
}

/**
 * The lines of one key. Off lines have their `#` at the depth of the last thing that is on, so that taking
 * it away leaves them rightly indented.
 */
function entry(
  key: string,
  node: SchemaNode,
  active: unknown,
  depth: number,
  offAt: number | undefined,
): string[] {
  const off = active === undefined ? (offAt ?? depth) : undefined;
  const line = (text: string) => place(text, depth, off);
  const shape = shapeOf(node);
  if (shape.kind === 'scalar' || isOneLine(active)) {
    const value = active ?? (shape.kind === 'scalar' ? shape.value : []);
    const [first = '', ...rest] = valueLines(key, value, depth).map(({ text, at }) =>
      place(text, at, off),
    );
    return [...withProse(first, node, depth, off), ...rest];
  }
  return [
    ...withProse(line(`${key}:`), node, depth, off),
    ...children(shape, active, depth + 2, off),
  ];
}

interface Line {
  readonly text: string;
  readonly at: number;
}

/** A key and its value on one line, or on several when one would be too long. */
function valueLines(key: string, value: unknown, depth: number): Line[] {
  const inline = `${key}: ${inlineYaml(value)}`;
  if (!isRecord(value) || depth + inline.length <= WIDTH) return [{ text: inline, at: depth }];
  const parts = Object.entries(value).flatMap(([part, item]) => valueLines(part, item, depth + 2));
  return [{ text: `${key}:`, at: depth }, ...parts];
}

function isOneLine(active: unknown): boolean {
  if (Array.isArray(active)) return active.every((item) => typeof item !== 'object');
  return active !== undefined && typeof active !== 'object';
}

function children(
  shape: Exclude<Shape, { kind: 'scalar' }>,
  active: unknown,
  depth: number,
  off: number | undefined,
): string[] {
  switch (shape.kind) {
    case 'mapping':
      return keysOf(shape.properties, active, depth, off);
    case 'named': {
      const names = Object.keys(isRecord(active) ? active : shape.entries);
      const [form] = Object.values(shape.entries);
      return names.flatMap((name) => {
        const node = shape.entries[name] ?? form;
        return node === undefined ? [] : entry(name, node, own(active, name), depth, off);
      });
    }
    case 'list': {
      const items: readonly unknown[] = Array.isArray(active) ? active : [undefined];
      return items.flatMap((item) => {
        const lines = shape.items.flatMap((node) => {
          const inner = shapeOf(node);
          return inner.kind === 'mapping' ? keysOf(inner.properties, item, depth + 2, off) : [];
        });
        return asListItem(lines, depth, off);
      });
    }
  }
}

/** Keys that are on come first: a mapping cannot begin with a comment. */
function keysOf(
  properties: Readonly<Record<string, SchemaNode>>,
  active: unknown,
  depth: number,
  off: number | undefined,
): string[] {
  const isOn = (key: string) => own(active, key) !== undefined;
  const keys = Object.keys(properties);
  const ordered = [...keys.filter(isOn), ...keys.filter((key) => !isOn(key))];
  return ordered.flatMap((key) => {
    const node = properties[key];
    return node === undefined ? [] : entry(key, node, own(active, key), depth, off);
  });
}

/** Puts the dash before the first key of an item. */
function asListItem(lines: readonly string[], depth: number, off: number | undefined): string[] {
  const first = lines.findIndex((line) => !/^\s*# \S|^\s*#\s+# /.test(line));
  const column = off === undefined ? depth : depth + 1;
  return lines.map((line, index) =>
    index === first ? `${line.slice(0, column)}- ${line.slice(column + 2)}` : line,
  );
}

function place(text: string, depth: number, off: number | undefined): string {
  if (off === undefined) return `${' '.repeat(depth)}${text}`;
  return `${' '.repeat(off)}#${' '.repeat(depth - off)}${text}`;
}

/** The description behind the line where it fits, above it otherwise. A section has it above already. */
function withProse(
  line: string,
  node: SchemaNode,
  depth: number,
  off: number | undefined,
): string[] {
  const description = summary(node);
  if (depth === 0 || description === '') return [line];
  const together = `${line}  # ${description}`;
  return together.length <= WIDTH ? [together] : [...prose(node, depth, off), line];
}

/** The description as comment lines. Within an off block they are off as well, so that they keep its shape. */
function prose(node: SchemaNode, depth: number, off: number | undefined): string[] {
  const isWithinOff = off !== undefined && depth > off;
  const start = isWithinOff ? place('#', depth, off) : `${' '.repeat(depth)}#`;
  const lines: string[] = [];
  let current = start;
  for (const word of summary(node).split(' ')) {
    if (current.length + word.length + 1 > WIDTH) {
      lines.push(current);
      current = start;
    }
    current += ` ${word}`;
  }
  return [...lines, current];
}

function summary(node: SchemaNode): string {
  const description = node.description ?? '';
  return node.defaultText === undefined
    ? description
    : `${description} Default: ${node.defaultText}.`;
}

function own(value: unknown, key: string): unknown {
  return isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}
