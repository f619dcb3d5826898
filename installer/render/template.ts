import ejs from 'ejs';
import type { TemplateFormat } from '../model/contribution.ts';
import { escapeFor } from './escape.ts';

/** Text assets of the package by path relative to its root, such as `compose/postgres.yaml.ejs`. */
export type Assets = ReadonlyMap<string, string>;

const compiled = new WeakMap<Assets, Map<string, ejs.TemplateFunction>>();

/**
 * Renders one asset with `it` as its only name.
 * @throws Error with the template's path and line; a template that fails is a bug of ours.
 */
export function renderTemplate(
  assets: Assets,
  path: string,
  data: Readonly<Record<string, unknown>>,
  format: TemplateFormat,
): string {
  const key = `${format}:${path}`;
  const cache = compiled.get(assets) ?? new Map<string, ejs.TemplateFunction>();
  compiled.set(assets, cache);
  const known = cache.get(key);
  if (known !== undefined) return known(data);
  const source = assets.get(path);
  if (source === undefined) throw new Error(`there is no template ${path} in the package`);
  const template = ejs.compile(source, {
    strict: true,
    localsName: 'it',
    escape: escapeFor(format),
    filename: path,
  });
  cache.set(key, template);
  return template(data);
}
