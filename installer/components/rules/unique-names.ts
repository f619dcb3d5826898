import { error, type Finding, type PathStep } from './finding.ts';

/** Entries of a list have names of their own. */
export function* uniqueNames(
  entries: readonly { readonly name: string }[],
  path: readonly PathStep[],
  what: string,
): Generator<Finding> {
  const first = new Map<string, number>();
  for (const [index, { name }] of entries.entries()) {
    const other = first.get(name);
    if (other === undefined) first.set(name, index);
    else
      yield error('duplicate-name', [...path, index, 'name'], `there is a ${what} ${name} already`);
  }
}
