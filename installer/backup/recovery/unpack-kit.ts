import { posix } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import type { Report } from '../../model/events.ts';
import { isDamage } from '../damage.ts';
import type { BackupManifest, BackupObject } from '../manifest.ts';
import { type OpenBackup, readObject } from '../read-object.ts';
import { layDownBy } from '../restore/lay-down.ts';
import type { Store } from '../store/store.ts';
import { verifiedBytes } from '../verified-bytes.ts';
import { readManifest } from '../verify.ts';
import { decompress } from '../zstd.ts';
import type { StoredKit } from './find-kits.ts';

const PRIVATE_FOLDER = { mode: 0o700, uid: 0, gid: 0 } as const;

export interface UnpackedKit {
  readonly kit: StoredKit;
  readonly manifest: BackupManifest;
}

interface UnpackWish {
  readonly folder: string;
  readonly identityFile: string | undefined;
  readonly report: Report;
}

/**
 * Lays the newest whole kit down in a folder of root; a damaged one is told and the one before it taken.
 * @throws AppError `restore/wrong-identity` with the keys that the kit was encrypted to, `backup/damaged`
 */
export async function unpackNewest(
  host: Host,
  store: Store,
  kits: readonly StoredKit[],
  where: UnpackWish,
): Promise<UnpackedKit> {
  for (const [index, kit] of kits.entries()) {
    try {
      return { kit, manifest: await unpack(host, store, kit, where) };
    } catch (error) {
      if (index === kits.length - 1 || !isDamage(error)) throw error;
      where.report({
        kind: 'warning',
        code: 'restore/fell-back',
        text: `the kit ${kit.id} is damaged, so the one before it is used: ${(error as Error).message}`,
      });
    }
  }
  throw new Error('no kit, and no reason for it');
}

async function unpack(
  host: Host,
  store: Store,
  kit: StoredKit,
  { folder, identityFile, report }: UnpackWish,
): Promise<BackupManifest> {
  const opened = await openKit(store, kit, identityFile, report);
  const object = opened.manifest.objects.find(({ role }) => role === 'appliance');
  if (object === undefined) throw new Error(`the manifest of ${kit.id} has no appliance`);
  // Known before it counts: afterwards this kit is the one, and no other is looked for.
  const images = opened.manifest.objects.filter(({ role }) => role === 'images');
  for (const one of images) {
    for await (const chunk of verifiedBytes(store, kit.folder, one)) void chunk;
  }
  await host.remove(folder, { recursive: true });
  await host.makeDirectory(posix.dirname(folder), PRIVATE_FOLDER);
  await host.makeDirectory(folder, PRIVATE_FOLDER);
  const untar = [
    ...(['tar', '--extract', '--file=-', '--numeric-owner', '--same-owner'] as const),
    ...['--preserve-permissions', `--directory=${folder}`],
  ] as const;
  try {
    await layDownBy([...untar], decompress(readObject(opened, object)), 'the recovery kit');
  } catch (error) {
    throw withKeys(error, opened.manifest);
  }
  return opened.manifest;
}

/** The images that were built on the old server; none where it built none. */
export async function loadImages(
  store: Store,
  kit: StoredKit,
  identityFile: string | undefined,
): Promise<void> {
  const opened = await openKit(store, kit, identityFile);
  const object = opened.manifest.objects.find(({ role }) => role === 'images');
  if (object === undefined) return;
  await layDownBy(['docker', 'image', 'load', '--quiet'], plain(opened, object), 'the images');
}

function plain(opened: OpenBackup, object: BackupObject): AsyncIterable<Uint8Array> {
  return decompress(readObject(opened, object));
}

async function openKit(
  store: Store,
  { folder, id }: StoredKit,
  identityFile: string | undefined,
  report?: Report,
): Promise<OpenBackup> {
  const { manifest } = await readManifest(store, folder, id, report);
  return { placeOf: async () => store, folder, manifest, identityFile };
}

/** Whoever holds several keys learns which one is meant. */
function withKeys(error: unknown, { encryption, id }: BackupManifest): unknown {
  if (!(error instanceof AppError) || encryption.kind !== 'age') return error;
  if (error.code !== 'restore/wrong-identity' && error.code !== 'restore/no-identity') return error;
  return new AppError({
    code: error.code,
    what: error.what,
    why: `the kit ${id} was encrypted to: ${encryption.recipients.join(', ')}`,
    hint: 'holdfast restore --from PLACE --identity FILE, with the private key of one of them (`age-keygen -y FILE` shows its public key)',
    cause: error,
  });
}
