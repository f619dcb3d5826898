import { parse } from 'yaml';

/** A value on one line of YAML: plain where that reads back the same, quoted otherwise. */
export function inlineYaml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inlineYaml).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(
      ([key, item]) => `${inlineYaml(key)}: ${inlineYaml(item)}`,
    );
    return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
  }
  if (typeof value !== 'string') return JSON.stringify(value);
  if (isPlain(value)) return value;
  return value.includes('"') && !value.includes("'") ? `'${value}'` : JSON.stringify(value);
}

/** Plain text is for words that no reader of YAML, an old one included, takes for something else. */
function isPlain(value: string): boolean {
  if (!/^[A-Za-z0-9/.][\w./:@-]*$/.test(value) || parse(value) !== value) return false;
  return !/^(?:on|off|yes|no|y|n)$/i.test(value) && !/^\d+:\d/.test(value) && !value.endsWith(':');
}
