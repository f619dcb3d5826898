import { backupIdTime } from './backup-id.ts';
import { jobPrefix, MANIFEST_NAME, parseKey, VERIFIED_NAME } from './keys.ts';
import type { KnownBackup } from './retention.ts';
import type { Store, StoredFile } from './store/store.ts';

/** All files under one id. */
export interface StoredBackup {
  readonly id: string;
  readonly files: ReadonlyMap<string, StoredFile>;
  /** Has a manifest; without one it is the debris of a run that was killed. */
  readonly complete: boolean;
  readonly verified: boolean;
  /** Bytes of all files. */
  readonly size: number;
}

/** What a store holds of a job, newest first. @throws AppError of class `store`, never gives half a listing */
export async function listStored(
  store: Store,
  place: { readonly prefix: string; readonly project: string },
  job: string,
): Promise<StoredBackup[]> {
  const prefix = jobPrefix(place, job);
  const byId = new Map<string, Map<string, StoredFile>>();
  for await (const file of store.list(prefix)) {
    const parts = parseKey(prefix, file.key);
    if (parts === undefined) continue;
    const files = byId.get(parts.id) ?? new Map<string, StoredFile>();
    byId.set(parts.id, files.set(parts.name, file));
  }
  return [...byId]
    .map(([id, files]) => ({
      id,
      files,
      complete: files.has(MANIFEST_NAME),
      verified: files.has(MANIFEST_NAME) && files.has(VERIFIED_NAME),
      size: [...files.values()].reduce((sum, { size }) => sum + size, 0),
    }))
    .sort((a, b) => (a.id < b.id ? 1 : -1));
}

/** The complete ones, as retention judges them. */
export function known(stored: readonly StoredBackup[]): KnownBackup[] {
  return stored.flatMap(({ id, files, verified }) => {
    const at = backupIdTime(id);
    const storedAt = files.get(MANIFEST_NAME)?.storedAt;
    return at === undefined || storedAt === undefined ? [] : [{ id, at, storedAt, verified }];
  });
}

/** Of a place that nothing can be read back from, where only verified backups are copied to, compared as they pass. */
export function asVerified(backups: readonly KnownBackup[]): KnownBackup[] {
  return backups.map((backup) => ({ ...backup, verified: true }));
}
