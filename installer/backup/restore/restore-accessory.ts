import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { AppError } from '../../errors.ts';
import { quote } from '../../host/quote.ts';
import { TailBuffer } from '../../host/tail-buffer.ts';
import { encrypt } from '../age.ts';
import { newBackupId } from '../backup-id.ts';
import type { BackupContext } from '../context.ts';
import { requireFreeSpace } from '../free-space.ts';
import { objectNamePart } from '../keys.ts';
import type { BackupManifest, BackupObject } from '../manifest.ts';
import { type OpenBackup, readObject } from '../read-object.ts';
import { prepareRecipients, restoreTestIdentityFile } from '../recovery-keys.ts';
import {
  type AccessorySource,
  accessoryDump,
  commandWords,
  SAID_BYTES,
  whyItEnded,
} from '../sources/accessory.ts';
import { requireAccessory } from '../sources/open-source.ts';
import { DirectoryStore } from '../store/directory-store.ts';
import { counted, Given, tellsWhole } from '../whole-stream.ts';
import { compress, decompress } from '../zstd.ts';
import { type FilesWish, lastWrites, locked, onlyObject } from './restore-files.ts';

export interface AccessoryWish extends FilesWish {
  /** Dumps what is there first. A server that was just set up has nothing worth it. */
  readonly keepsBefore: boolean;
}

export interface RestoredAccessory {
  readonly name: string;
  readonly container: string;
  /** What was there, as a dump. */
  readonly kept?: { readonly file: string; readonly undo: string };
}

/**
 * Gives the restore command of an accessory what its dump command once wrote. All bytes are proved before the first
 * one goes in, since nothing can be laid beside and swapped; what is there is dumped to a file first.
 * @throws AppError `restore/no-command`, `restore/accessory`, `backup/accessory-down`, `backup/damaged`
 */
export async function restoreAccessory(
  context: BackupContext,
  backup: OpenBackup,
  wish: AccessoryWish,
): Promise<RestoredAccessory> {
  const accessory = accessoryOf(context, backup.manifest);
  const { name, container, restore: command } = accessory;
  if (command === undefined) throw noCommand(name);
  await requireAccessory(context, accessory);
  const object = onlyObject(backup.manifest, 'accessory');
  for await (const chunk of readObject(backup, object)) void chunk;
  return await locked(context, async () => {
    const before = wish.keepsBefore ? await dumpBefore(context, accessory, object) : {};
    try {
      await wish.consent(question(context, backup.manifest, name, before));
    } catch (error) {
      if (before.file !== undefined) await context.host.remove(before.file);
      throw error;
    }
    const input = decompress(readObject(backup, object));
    await wish.holdServer(() => runRestore(context, accessory, input, before.file));
    if (before.file === undefined) return { name, container };
    const undo = undoCommand(context, before.file, container, command);
    return { name, container, kept: { file: before.file, undo } };
  });
}

/** As the config that is in force has it: the commands, and where it runs. */
function accessoryOf({ settings }: BackupContext, { id, source }: BackupManifest): AccessorySource {
  if (source.kind !== 'accessory') throw new TypeError(`${id} is of no accessory`);
  for (const job of settings.jobs) {
    if (job.source.kind === 'accessory' && job.source.name === source.name) return job.source;
  }
  throw new AppError({
    code: 'restore/no-command',
    what: `no job saves an accessory ${source.name}, so nothing says how to restore it`,
    hint: `add accessories.${source.name} with dump and restore, and a job; holdfast apply`,
  });
}

interface Before {
  readonly file?: string;
  /** Why there is none, where one was wished. */
  readonly why?: string;
}

async function dumpBefore(
  context: BackupContext,
  accessory: AccessorySource,
  { size }: BackupObject,
): Promise<Before> {
  const { host, engine, paths, settings, now, report } = context;
  const folder = posix.join(paths.backups, 'before-restore');
  const store = new DirectoryStore(folder);
  // What a restore that was killed had begun; this one holds the lock.
  await store.abortUploads('', () => true);
  await requireFreeSpace(paths.backups, size * 1.3, `a dump of what ${accessory.name} holds now`);
  const isEncrypted = settings.encryption === 'age';
  const key = `${objectNamePart(accessory.name)}-${newBackupId(now())}.dump.zst${isEncrypted ? '.age' : ''}`;
  const plain = compress(accessoryDump(engine, accessory));
  try {
    const body = isEncrypted
      ? encrypt(plain, (await prepareRecipients(host, paths, settings.recipients)).file)
      : plain;
    await store.put(key, body);
    return { file: posix.join(folder, key) };
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'backup/accessory') throw error;
    report({ kind: 'warning', code: error.code, text: error.message });
    return { why: error.why ?? error.what };
  }
}

async function runRestore(
  { engine }: BackupContext,
  { name, container, restore = [] }: AccessorySource,
  input: AsyncIterable<Uint8Array>,
  keptFile: string | undefined,
): Promise<void> {
  const command = commandWords(restore);
  const isCounted = await tellsWhole(engine, container);
  const given = new Given();
  const { stdout, done } = await engine.execStream(container, {
    argv: isCounted ? counted(command) : command,
    stdin: Readable.from(given.through(input), { objectMode: false }),
  });
  const said = new TailBuffer(SAID_BYTES);
  stdout.on('error', () => undefined).on('data', (chunk: Buffer) => said.push(chunk));
  const { exitCode, stderr } = await done;
  const cut = isCounted ? given.whyCut(said.text()) : undefined;
  if (exitCode === 0 && cut === undefined) return;
  const kept = keptFile === undefined ? '' : `; what was there is kept in ${keptFile}`;
  throw new AppError({
    code: 'restore/accessory',
    what: `the restore command of ${name} failed, and may have restored a part${kept}`,
    why: exitCode === 0 && cut !== undefined ? cut : whyItEnded(exitCode, stderr, said),
    hint: `holdfast logs ${name}; then run the same restore again`,
  });
}

function question(
  context: BackupContext,
  manifest: BackupManifest,
  name: string,
  { file, why }: Before,
): string {
  const kept =
    file !== undefined
      ? `what is there now was dumped to ${file}`
      : why === undefined
        ? 'nothing of it is kept'
        : `what is there now cannot be dumped (${why}) and is gone for good`;
  return `What ${name} holds is replaced by its restore command while the services that use it run: everything written ${lastWrites(context, manifest)} goes; ${kept}. Go on?`;
}

/** What gives the kept dump back, with stock tools. */
function undoCommand(
  { paths, settings }: BackupContext,
  file: string,
  container: string,
  command: readonly string[],
): string {
  const give = quote(['docker', 'exec', '-i', container, ...command]);
  if (settings.encryption === 'none') return `${quote(['zstd', '-dc', file])} | ${give}`;
  const decrypt = quote(['age', '-d', '-i', restoreTestIdentityFile(paths), file]);
  return `${decrypt} | zstd -dc | ${give}`;
}

function noCommand(name: string): AppError {
  return new AppError({
    code: 'restore/no-command',
    what: `accessory ${name} has no restore command`,
    hint: `add accessories.${name}.restore, a command that reads the dump from standard input; holdfast apply`,
  });
}
