import { languageSchema, type SchemaNode, variants } from '../json-schema.ts';
import { inlineYaml } from './yaml-text.ts';

const HEADER = `# config.yaml

Generated from the schema by \`npm run docs\`. A key of the file is written here with dots: \`tls.hsts.maxAge\`
is \`maxAge\` under \`hsts\` under \`tls\`. \`<name>\` is a name of your choice, \`[]\` an item of a list.

- **duration**: \`30s 5m 1h 7d 8w 12M 7y\`; a month is 30 days, a year 365.
- **size**: \`512k 10m 4g 1t\`, powers of 1024.
- **cron schedule**: five fields, in the zone of \`timezone\`.
- **secret name**: capitals, digits and underscores; the value is stored with \`holdfast secrets set NAME\`.
- **command**: a list of words, or text that is split into words by quotes and blanks. No shell takes part.
- **file path**: relative to the config file.

The keys that a config cannot do without: \`version\`, \`domain\`, \`contact\`, and one service or site.
`;

/** `docs/reference/config.md`. */
export function referencePage(): string {
  const root = languageSchema();
  const properties = Object.entries(root.properties ?? {});
  const isSection = ([, node]: [string, SchemaNode]) => rowsOf(node, '').length > 0;
  const single = properties.filter((property) => !isSection(property));
  const general = table(single.map(([key, node]) => row(key, node, isRequired(root, key))));
  const sections = properties.filter(isSection).map(([key, node]) => section(key, node));
  return [HEADER, '## General\n', general, ...sections].join('\n');
}

function section(key: string, node: SchemaNode): string {
  const form = node.items !== undefined ? ' (list)' : '';
  return `## ${key}${form}\n\n${sentence(node)}\n\n${table(rowsOf(node, key))}`;
}

interface Row {
  readonly key: string;
  readonly type: string;
  readonly fallback: string;
  readonly description: string;
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(
    ({ key, type, fallback, description }) =>
      `| \`${key}\` | ${type} | ${fallback} | ${description} |`,
  );
  return `${['| key | type | default | |', '|---|---|---|---|', ...lines].join('\n')}\n`;
}

/** One row per key under a node, parents before their parts. */
function rowsOf(node: SchemaNode, path: string): readonly Row[] {
  return variants(node).flatMap((form) => {
    if (form.items !== undefined) return rowsOf(form.items, `${path}[]`);
    if (typeof form.additionalProperties === 'object') {
      const entry = form.additionalProperties;
      const inner = rowsOf(entry, `${path}.<name>`);
      return inner.length > 0 || path === '' ? inner : [];
    }
    // Of a provider, the word that tells the forms apart is part of the path.
    const word = node.oneOf === undefined ? undefined : form.properties?.['kind']?.const;
    const base = word === undefined ? path : `${path} (${String(word)})`;
    return Object.entries(form.properties ?? {}).flatMap(([key, child]) => {
      if (child.const !== undefined && word !== undefined) return [];
      const full = base === '' ? key : `${base}.${key}`;
      return [row(full, child, isRequired(form, key)), ...rowsOf(child, full)];
    });
  });
}

function isRequired(parent: SchemaNode, key: string): boolean {
  return parent.required?.includes(key) ?? false;
}

function row(key: string, node: SchemaNode, required: boolean): Row {
  return {
    key,
    type: escaped(typeOf(node)),
    fallback: escaped(required ? '**required**' : fallbackOf(node)),
    description: escaped(sentence(node)),
  };
}

function sentence(node: SchemaNode): string {
  const example = node.examples?.[0];
  const shown = example === undefined ? '' : ` Example: \`${inlineYaml(example)}\`.`;
  return `${node.description ?? ''}${shown}`;
}

function fallbackOf(node: SchemaNode): string {
  if (node.defaultText !== undefined) return node.defaultText;
  const value = node.default;
  if (value === undefined) return '';
  if (typeof value === 'object' && value !== null && Object.keys(value).length === 0) return '';
  return `\`${inlineYaml(value)}\``;
}

function typeOf(node: SchemaNode): string {
  if (node.enum !== undefined) return node.enum.map((word) => `\`${String(word)}\``).join(', ');
  if (node.const !== undefined) return `\`${String(node.const)}\``;
  if (node.kind !== undefined) return node.kind;
  const forms = node.anyOf ?? node.oneOf;
  if (forms !== undefined) return [...new Set(forms.map(typeOf))].join(' or ');
  if (node.items !== undefined) return `list of ${typeOf(node.items)}`;
  if (node.properties !== undefined) return 'mapping';
  if (typeof node.additionalProperties === 'object') {
    return `mapping of name to ${typeOf(node.additionalProperties)}`;
  }
  const range =
    node.minimum === undefined || Math.abs(node.minimum) > 1e12
      ? ''
      : `, ${node.minimum} to ${node.maximum}`;
  if (node.type === 'integer') return `whole number${range}`;
  if (node.type === 'number') return `number${range}`;
  if (node.type === 'boolean') return 'true or false';
  return 'text';
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ');
}
