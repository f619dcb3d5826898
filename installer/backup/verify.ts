import { open } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { AppError } from '../errors.ts';
import { startChild } from '../host/child.ts';
import type { Report } from '../model/events.ts';
import type { BackupContext } from './context.ts';
import { backupPrefix, MANIFEST_NAME, VERIFIED_NAME } from './keys.ts';
import {
  type BackupManifest,
  type BackupObject,
  parseManifest,
  parseVerifiedMark,
  sha256Hex,
  type VerifiedMark,
} from './manifest.ts';
import { Pace } from './pace.ts';
import { type PostgresServer, postgresExec } from './psql.ts';
import { type OpenBackup, readObject } from './read-object.ts';
import { readSmall, type Store } from './store/store.ts';
import { verifiedBytes } from './verified-bytes.ts';

export interface VerifyInput {
  readonly context: BackupContext;
  readonly store: Store;
  readonly job: string;
  readonly id: string;
  /** Opens what is encrypted; undefined checks the stored bytes alone. */
  readonly identityFile: string | undefined;
  /** Whose `pg_restore` lists the archives; undefined leaves that out. */
  readonly server: PostgresServer | undefined;
}

/**
 * Reads a backup back from its store, byte for byte, and marks it as verified.
 * @throws AppError `backup/damaged`, `backup/bad-manifest`, `backup/missing`
 */
export async function verifyBackup(input: VerifyInput): Promise<VerifiedMark> {
  const { context, store, job, id } = input;
  const folder = backupPrefix(context.settings, job, id);
  // A mark that nobody can read needs no word: it is made anew below.
  const { manifest, digest } = await readManifest(store, folder, id);
  const opens = manifest.encryption.kind === 'none' || input.identityFile !== undefined;
  const pace = Pace.beside(context);
  for (const [index, object] of manifest.objects.entries()) {
    context.report({
      kind: 'progress',
      id: 'verify',
      text: `reading back ${object.name}`,
      done: index,
      total: manifest.objects.length,
    });
    await checkObject(input, manifest, folder, object, pace);
  }
  const archives = manifest.objects.some(({ format }) => format === 'pg-custom');
  const mark: VerifiedMark = {
    version: 1,
    id,
    at: context.now().toISOString(),
    manifestSha256: digest,
    checks: [
      'checksums',
      ...(opens ? (['decrypts'] as const) : []),
      ...(opens && archives && input.server !== undefined ? (['archive-list'] as const) : []),
    ],
  };
  await store.putSmall(`${folder}${VERIFIED_NAME}`, Buffer.from(`${JSON.stringify(mark)}\n`));
  return mark;
}

/**
 * The manifest, which must be the one that was there when the backup was read back.
 * @param report hears of a mark that cannot be read: it proves nothing, as one that is not there
 * @throws AppError `backup/missing`, `backup/bad-manifest`
 */
export async function readManifest(
  store: Store,
  folder: string,
  id: string,
  report?: Report,
): Promise<{ readonly manifest: BackupManifest; readonly digest: string }> {
  const content = await readSmall(store, `${folder}${MANIFEST_NAME}`);
  if (content === undefined) {
    throw new AppError({
      code: 'backup/missing',
      what: `there is no complete backup ${id} in ${store.description}`,
      hint: 'holdfast backup list',
    });
  }
  const manifest = parseManifest(content, `the manifest of ${id}`);
  if (manifest.id !== id) {
    throw new AppError({
      code: 'backup/bad-manifest',
      what: `the manifest of ${id} is damaged`,
      why: `it says that it belongs to ${manifest.id}`,
      hint: 'choose another backup: `holdfast backup list`',
    });
  }
  const digest = sha256Hex(content);
  const marked = await markedDigest(store, folder, id, report);
  if (marked !== undefined && marked !== digest) {
    throw new AppError({
      code: 'backup/bad-manifest',
      what: `the manifest of ${id} is damaged`,
      why: `it is not the one that was there when the backup was read back: that had the sha256 ${marked}`,
      hint: 'choose another backup: `holdfast backup list`',
    });
  }
  return { manifest, digest };
}

/** Undefined where the backup was never read back, as far as anybody can tell. */
async function markedDigest(
  store: Store,
  folder: string,
  id: string,
  report: Report | undefined,
): Promise<string | undefined> {
  const content = await readSmall(store, `${folder}${VERIFIED_NAME}`);
  if (content === undefined) return undefined;
  try {
    return parseVerifiedMark(content, id).manifestSha256;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const text = `${error.message}; ${error.hint}`;
    report?.({ kind: 'warning', code: 'backup/mark-damaged', text });
    return undefined;
  }
}

async function checkObject(
  { store, identityFile, server }: VerifyInput,
  manifest: BackupManifest,
  folder: string,
  object: BackupObject,
  pace: Pace,
): Promise<void> {
  const encrypted = manifest.encryption.kind === 'age';
  if (encrypted && identityFile === undefined) {
    return await drain(pace.through(verifiedBytes(store, folder, object)));
  }
  const backup = { placeOf: async () => store, folder, manifest, identityFile, pace };
  if (object.format !== 'pg-custom' || server === undefined) return await prove(backup, object);
  const onlyHead = encrypted && object.plainSize > ARCHIVE_HEAD;
  const output = onlyHead ? { into: startChild({ argv: HEAD_ALONE }) } : {};
  const complaint = await listArchive(server, readObject(backup, object, output));
  if (complaint === undefined) return;
  // Its table of contents may be longer than that.
  const lasting = onlyHead ? await listArchive(server, readObject(backup, object)) : complaint;
  if (lasting === undefined) return;
  throw new AppError({
    code: 'backup/damaged',
    what: `${object.name} is not an archive that pg_restore can read`,
    why: lasting,
    hint: 'holdfast backup run',
  });
}

/** Holds the table of contents of some 20,000 tables, bytes. */
const ARCHIVE_HEAD = 8 * 1024 ** 2;
/** Takes all that age decrypts, so that every byte is proved, and lets through what pg_restore looks at. */
const HEAD_ALONE = ['sh', '-c', `head -c ${ARCHIVE_HEAD}; exec cat >/dev/null`] as const;

/** What age decrypts is of no use here: passing it through this process would take as long as decrypting it. */
async function prove(backup: OpenBackup, object: BackupObject): Promise<void> {
  if (backup.manifest.encryption.kind === 'none') return await drain(readObject(backup, object));
  const nowhere = await open('/dev/null', 'w');
  try {
    await drain(readObject(backup, object, { to: nowhere.fd }));
  } finally {
    await nowhere.close();
  }
}

async function drain(body: AsyncIterable<unknown>): Promise<void> {
  for await (const chunk of body) void chunk;
}

/**
 * `pg_restore --list` reads the head of the archive; the rest is read to its end all the same.
 * @returns what pg_restore does not like about it
 */
async function listArchive(
  server: PostgresServer,
  plain: AsyncIterable<Uint8Array>,
): Promise<string | undefined> {
  const input = new PassThrough();
  // pg_restore stops reading after the head.
  input.on('error', () => undefined);
  const { argv, ...rest } = postgresExec(server, ['pg_restore', '--list']);
  const { stdout, done } = await server.engine.execStream(server.container, {
    argv,
    ...rest,
    stdin: input,
  });
  stdout.on('error', () => undefined).resume();
  const ended = done.finally(() => input.destroy());
  ended.catch(() => undefined);
  try {
    for await (const chunk of plain) {
      if (!input.writable || input.write(chunk)) continue;
      await drainedOrClosed(input);
    }
  } finally {
    input.end();
  }
  const { exitCode, stderr } = await ended;
  return exitCode === 0 ? undefined : stderr.trim() || `exit code ${exitCode}`;
}

async function drainedOrClosed(stream: PassThrough): Promise<void> {
  await new Promise<void>((resolve) => {
    const settled = (): void => {
      stream.off('drain', settled).off('close', settled);
      resolve();
    };
    stream.on('drain', settled).on('close', settled);
  });
}
