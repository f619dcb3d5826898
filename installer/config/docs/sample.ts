import { type SchemaNode, variants } from '../json-schema.ts';

/** How a node is shown by example: a single value, or something with parts. */
export type Shape =
  | { readonly kind: 'scalar'; readonly value: unknown }
  | { readonly kind: 'mapping'; readonly properties: Readonly<Record<string, SchemaNode>> }
  | { readonly kind: 'named'; readonly entries: Readonly<Record<string, SchemaNode>> }
  | { readonly kind: 'list'; readonly items: readonly SchemaNode[] };

/** What the example file shows for a node: its own example; its keys even where a single value would do; its default. */
export function shapeOf(node: SchemaNode): Shape {
  const example = node.examples?.[0];
  if (example !== undefined) return { kind: 'scalar', value: example };
  const mapping = variants(node).find((variant) => variant.properties !== undefined);
  if (node.oneOf === undefined && mapping?.properties !== undefined) {
    return { kind: 'mapping', properties: mapping.properties };
  }
  const fallback = nonEmpty(node.default);
  if (fallback !== undefined) return { kind: 'scalar', value: fallback };
  const additional = node.additionalProperties;
  if (typeof additional === 'object') return { kind: 'named', entries: namedEntries(additional) };
  if (node.items !== undefined) return listShape(node.items);
  return { kind: 'scalar', value: scalarFor(node) };
}

/** One entry per form that an entry may have, named after the word that tells the forms apart. */
function namedEntries(entry: SchemaNode): Readonly<Record<string, SchemaNode>> {
  if (entry.oneOf === undefined) return { example: entry };
  return Object.fromEntries(
    entry.oneOf.map((form) => [String(form.properties?.['kind']?.const ?? 'example'), form]),
  );
}

function listShape(item: SchemaNode): Shape {
  const shape = shapeOf(item);
  return shape.kind === 'scalar'
    ? { kind: 'scalar', value: [shape.value] }
    : { kind: 'list', items: [item] };
}

function nonEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.length > 0 ? value : undefined;
  const isEmptyMapping =
    typeof value === 'object' && value !== null && Object.keys(value).length === 0;
  return isEmptyMapping ? undefined : value;
}

const BY_KIND: Readonly<Record<string, unknown>> = {
  duration: '1h',
  'seconds or duration': 3600,
  size: '10m',
  'cron schedule': '0 2 * * *',
  'time of day': '02:00',
  'one line of text': 'text',
  version: '1.2',
  name: 'example',
  'SQL name': 'example',
  'secret name': 'EXAMPLE_SECRET',
  'host name': 'app.example.com',
  'host pattern': 'pr-*.preview.example.com',
  network: '203.0.113.7',
  'network or any': '203.0.113.7',
  image: 'ghcr.io/acme/web:1.4.2',
  'absolute path': '/data',
  'file path': './example',
  'URL path': '/example/',
  URL: 'https://example.com/',
  'mail address': 'ops@example.com',
  command: ['node', 'main.js'],
};

function scalarFor(node: SchemaNode): unknown {
  const first = variants(node)[0] ?? node;
  if (first.const !== undefined) return first.const;
  if (first.enum !== undefined) return first.enum[0];
  const byKind = BY_KIND[first.kind ?? ''];
  if (byKind !== undefined) return byKind;
  if (first.minimum !== undefined) return first.minimum;
  if (first.type === 'boolean') return true;
  if (first.type === 'integer' || first.type === 'number') return 1;
  return 'example';
}
