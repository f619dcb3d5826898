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

/** The database that every server has and that whoever administers it is connected to, also we. */
export const MAINTENANCE_DATABASE = 'postgres';

/** The name on a server made for a proof: `postgres` is taken there, and cannot be made anew. */
export function proofName(database: string): string {
  return database === MAINTENANCE_DATABASE ? 'holdfast_proof_postgres' : database;
}

const OF_RESTORE = /_(?:restored|before)_[0-9]{8}t[0-9]{6}z_[0-9a-f]{6}(?:_[0-9]+)?$/;

/** Whether a restore gave the name: to what it is at work on, or to what it put aside. */
export function isOfRestore(database: string): boolean {
  return OF_RESTORE.test(database);
}

/** Cuts at a whole character: the limit counts bytes. */
function withSuffix(database: string, suffix: string): string {
  let start = database;
  while (Buffer.byteLength(start + suffix, 'utf8') > LONGEST) {
    start = [...start].slice(0, -1).join('');
  }
  return start + suffix;
}
