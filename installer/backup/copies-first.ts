import type { Report } from '../model/events.ts';
import type { BackupManifest, BackupObject } from './manifest.ts';
import type { Store } from './store/store.ts';
import { verifiedBytes } from './verified-bytes.ts';
import { readManifest } from './verify.ts';

export interface Places {
  readonly store: Store;
  /** On this server; undefined where nothing of the backup is. */
  readonly copies: Store | undefined;
  readonly report: Report;
}

/**
 * The manifest of a backup and where each of its objects is read from. A copy on this server is faster than the
 * store and there when the store is not, but it is taken only after all its bytes were compared: what is read
 * later goes straight into a restore. A damaged one is told and passed over.
 * @throws AppError `backup/missing`, `backup/bad-manifest`; of class `store` when there is no whole copy either
 */
export async function openCopiesFirst(
  { store, copies, report }: Places,
  folder: string,
  id: string,
): Promise<{
  readonly manifest: BackupManifest;
  readonly placeOf: (object: BackupObject) => Promise<Store>;
}> {
  const fromStore = async (): Promise<BackupManifest> =>
    (await readManifest(store, folder, id, report)).manifest;
  if (copies === undefined) {
    return { manifest: await fromStore(), placeOf: async () => store };
  }
  const passOver = (error: unknown): void => {
    report({
      kind: 'warning',
      code: 'restore/copy-passed-over',
      text: `the copy on this server is not whole, so the store is read: ${(error as Error).message}`,
    });
  };
  let manifest: BackupManifest;
  try {
    // A mark that cannot be read needs no word: all bytes of the copy are compared before they are taken.
    manifest = (await readManifest(copies, folder, id)).manifest;
  } catch (error) {
    passOver(error);
    return { manifest: await fromStore(), placeOf: async () => store };
  }
  const places = new Map<string, Promise<Store>>();
  const choose = async (object: BackupObject): Promise<Store> => {
    try {
      for await (const chunk of verifiedBytes(copies, folder, object)) void chunk;
      return copies;
    } catch (error) {
      passOver(error);
      return store;
    }
  };
  return {
    manifest,
    placeOf: (object) => {
      const place = places.get(object.name) ?? choose(object);
      places.set(object.name, place);
      return place;
    },
  };
}
