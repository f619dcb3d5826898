import { idSuffix } from '../backup-id.ts';

/** Postgres cuts longer names off. */
const LONGEST = 63;

export function restoredName(database: string, id: string): string {
  return withSuffix(database, `_restored_${idSuffix(id)}`);
}

/** The name that the live database is kept under; numbered when that backup was swapped in before. */
export function beforeName(database: string, id: string, taken: ReadonlySet<string>): string {
  for (let number = 1; ; number += 1) {
    const suffix = `_before_${idSuffix(id)}${number === 1 ? '' : `_${number}`}`;
    const name = withSuffix(database, suffix);
    if (!taken.has(name)) return name;
  }
}

/** Cuts at a whole character: the limit counts bytes. */
function withSuffix(database: string, suffix: string): string {
  let start = database;
  while (Buffer.byteLength(start + suffix, 'utf8') > LONGEST) {
    start = [...start].slice(0, -1).join('');
  }
  return start + suffix;
}
