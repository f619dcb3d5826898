import { AppError } from '../errors.ts';
import { formatBytes } from '../model/format-bytes.ts';
import type { BackupContext } from './context.ts';
import { isDamage } from './damage.ts';
import { backupPrefix, MANIFEST_NAME, RUN_MARKER_NAME } from './keys.ts';
import { type BackupManifest, manifestBytes } from './manifest.ts';
import type { Store } from './store/store.ts';
import { markerBytes, removeBackup } from './sweep.ts';
import { verifiedBytes } from './verified-bytes.ts';
import { readManifest, verifyBackup } from './verify.ts';

export interface CopyInput {
  readonly origin: Store;
  readonly target: Store;
  /** The job that made it: its copy has the same name. */
  readonly job: string;
  readonly id: string;
  /** Who copies. */
  readonly writer: BackupManifest['writer'];
  /** Whether what was copied is read back from the target. */
  readonly readsBack: boolean;
  readonly lockedUntil: Date | undefined;
  /** All of it lies in the target and was not proved. */
  readonly isThere: boolean;
}

/**
 * Copies one backup: its objects streamed and compared with the manifest as they pass, the manifest last, then read
 * back from where they went. What fails leaves nothing. @returns bytes that were copied
 * @throws AppError `backup/damaged`, class `store`
 */
export async function copyBackup(context: BackupContext, input: CopyInput): Promise<number> {
  const { target, job, id, isThere } = input;
  if (isThere && (await isWhole(context, input))) return 0;
  let bytes = 0;
  try {
    bytes = await copyObjects(context, input);
  } catch (error) {
    // What cannot be removed now, the sweep of the next run removes.
    await removeBackup(target, context.settings, job, id).catch(() => undefined);
    throw error;
  }
  if (input.readsBack) await prove(context, input);
  return bytes;
}

async function copyObjects(
  { settings, report, signal, now }: BackupContext,
  { origin, target, job, id, writer, lockedUntil }: CopyInput,
): Promise<number> {
  const folder = backupPrefix(settings, job, id);
  const { manifest } = await readManifest(origin, folder, id, report);
  const marker = { version: 1, id, startedAt: now().toISOString(), writer } as const;
  await target.putSmall(`${folder}${RUN_MARKER_NAME}`, markerBytes(marker));
  let bytes = 0;
  for (const object of manifest.objects) {
    if (signal?.aborted === true) throw interrupted();
    const text = `copying ${object.name} of ${id}, ${formatBytes(object.size)}`;
    report({ kind: 'progress', id: 'copy', text });
    const key = `${folder}${object.name}`;
    await target.put(key, verifiedBytes(origin, folder, object), object.size, lockedUntil);
    bytes += object.size;
  }
  await target.putSmall(`${folder}${MANIFEST_NAME}`, manifestBytes(manifest), lockedUntil);
  return bytes;
}

/** By its checksums: they are those that the origin was decrypted by when it was made. */
async function prove(context: BackupContext, { target, job, id }: CopyInput): Promise<void> {
  const alone = { identityFile: undefined, server: undefined };
  await verifyBackup({ context, store: target, job, id, ...alone });
}

async function isWhole(context: BackupContext, input: CopyInput): Promise<boolean> {
  try {
    await prove(context, input);
    return true;
  } catch (error) {
    if (!isDamage(error)) throw error;
    await removeBackup(input.target, context.settings, input.job, input.id);
    return false;
  }
}

function interrupted(): AppError {
  return new AppError({
    code: 'backup/interrupted',
    what: 'the copying was stopped',
    why: 'what is copied already stays; nothing half is left',
    hint: 'holdfast backup run',
  });
}
