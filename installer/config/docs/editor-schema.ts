import { languageSchema } from '../json-schema.ts';

/** Notes of ours that JSON Schema does not know. */
const OWN_KEYWORDS = new Set(['kind', 'unit', 'defaultText']);

/** `config.schema.json`: what editors complete and check from. */
export function editorSchema(): string {
  const { $schema: _, ...schema } = withoutOwnKeywords(languageSchema()) as Record<string, unknown>;
  const head = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'holdfast config.yaml',
  };
  return `${JSON.stringify({ ...head, ...schema }, null, 2)}\n`;
}

function withoutOwnKeywords(value: unknown, inProperties = false): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutOwnKeywords(item));
  if (typeof value !== 'object' || value === null) return value;
  const { description, defaultText } = value as Record<string, unknown>;
  const explained =
    !inProperties && typeof defaultText === 'string'
      ? { ...value, description: `${String(description)} Default: ${defaultText}.` }
      : value;
  // Under `properties` the keys are names of the language, where `kind` is one of them.
  const entries = Object.entries(explained).filter(
    ([key]) => inProperties || !OWN_KEYWORDS.has(key),
  );
  return Object.fromEntries(
    entries.map(([key, item]) => [
      key,
      withoutOwnKeywords(item, key === 'properties' && !inProperties),
    ]),
  );
}
