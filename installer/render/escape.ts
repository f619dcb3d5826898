import type { TemplateFormat } from '../model/contribution.ts';

/**
 * How `<%= %>` writes a value into each target language so that it stays one inert value there.
 * All of them refuse what the language cannot say rather than bend it.
 */
export function escapeFor(format: TemplateFormat): (value: unknown) => string {
  const write = WRITERS[format];
  return (value) => {
    if (value === undefined || value === null) {
      throw new Error(`a template of format ${format} printed ${String(value)}`);
    }
    return write(value);
  };
}

const WRITERS: Readonly<Record<TemplateFormat, (value: unknown) => string>> = {
  // JSON is YAML 1.2: a value of any type becomes one flow value.
  yaml: (value) => JSON.stringify(value),
  json: (value) => JSON.stringify(value),
  nginx: (value) => nginxString(scalar(value, 'nginx')),
  ini: (value) => singleLine(scalar(value, 'ini'), 'ini'),
  // Only between double quotes of a YAML rule file, where JSON's escapes are also Prometheus'.
  prometheus: (value) => JSON.stringify(value),
  redis: (value) => redisString(scalar(value, 'redis')),
  systemd: (value) => singleLine(scalar(value, 'systemd'), 'systemd').replaceAll('%', '%%'),
  sql: (value) => `'${scalar(value, 'sql').replaceAll("'", "''")}'`,
  plain: (value) => singleLine(scalar(value, 'plain'), 'plain'),
};

function scalar(value: unknown, format: string): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return String(value);
  }
  throw new Error(`a template of format ${format} printed a value that is no scalar`);
}

function singleLine(text: string, format: string): string {
  if (/[\r\n\0]/.test(text))
    throw new Error(`a line break cannot stand in a value of format ${format}`);
  return text;
}

/** nginx knows no escape for `$`: a value with one must come from a variable of our own. */
function nginxString(text: string): string {
  if (text.includes('$')) throw new Error('nginx cannot quote a dollar sign');
  return `"${singleLine(text, 'nginx').replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

function redisString(text: string): string {
  return `"${singleLine(text, 'redis').replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
