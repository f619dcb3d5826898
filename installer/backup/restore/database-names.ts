import { createHash } from 'node:crypto';
import { idSuffix } from '../backup-id.ts';

/** Postgres cuts longer names off. */
const LONGEST = 63;
const HASH_LENGTH = 10;

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

/**
 * Cuts at a whole character: the limit counts bytes. A hash tells names apart that begin alike: one's copy would be
 * taken for the other's, with rows of another customer.
 */
function withSuffix(database: string, suffix: string): string {
  if (Buffer.byteLength(database + suffix, 'utf8') <= LONGEST) return database + suffix;
  const end = `_${createHash('sha256').update(database).digest('hex').slice(0, HASH_LENGTH)}${suffix}`;
  let start = database;
  while (Buffer.byteLength(start + end, 'utf8') > LONGEST) {
    start = [...start].slice(0, -1).join('');
  }
  return start + end;
}
