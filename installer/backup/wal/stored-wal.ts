import type { Store, StoredFile } from '../store/store.ts';
import { parseWalName, type WalObject, walPrefix } from './wal-keys.ts';

/** An object of WAL in the store. */
export type StoredWal = WalObject & {
  readonly key: string;
  readonly encrypted: boolean;
  readonly size: number;
  readonly storedAt: Date;
};

/** What the store holds of a cluster's WAL, by key. @throws AppError of class `store`, never gives half a listing */
export async function listStoredWal(
  store: Store,
  place: { readonly prefix: string; readonly project: string },
  systemIdentifier: string,
): Promise<StoredWal[]> {
  return await listNamed(store, walPrefix(place, systemIdentifier), '');
}

/** The same of the sixteen segments whose names differ from this one's in the last digit: one request. */
export async function listStoredNear(
  store: Store,
  place: { readonly prefix: string; readonly project: string },
  systemIdentifier: string,
  name: string,
): Promise<StoredWal[]> {
  return await listNamed(store, walPrefix(place, systemIdentifier), name.slice(0, -1));
}

async function listNamed(store: Store, prefix: string, begin: string): Promise<StoredWal[]> {
  const found: StoredWal[] = [];
  for await (const file of store.list(`${prefix}${begin}`)) found.push(...asWal(prefix, file));
  return found;
}

function asWal(prefix: string, { key, size, storedAt }: StoredFile): StoredWal[] {
  const object = parseWalName(key.slice(prefix.length));
  return object === undefined ? [] : [{ ...object, key, size, storedAt }];
}
