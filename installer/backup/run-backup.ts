import { posix } from 'node:path';
import { AppError } from '../errors.ts';
import type { BackupResult } from '../model/backup-result.ts';
import type { BackupJob } from '../model/backup-settings.ts';
import { applyRetention } from './apply-retention.ts';
import { newBackupId } from './backup-id.ts';
import type { BackupContext } from './context.ts';
import { exclusively } from './exclusive.ts';
import { formatBytes } from './format-bytes.ts';
import { requireFreeSpace } from './free-space.ts';
import { removeHelpers } from './helper-container.ts';
import type { StoredBackup } from './inventory.ts';
import { backupPrefix, MANIFEST_NAME, RUN_MARKER_NAME, VERIFIED_NAME } from './keys.ts';
import { LocalCopy, localCopiesFolder } from './local-copy.ts';
import { type BackupManifest, manifestBytes } from './manifest.ts';
import { prepareRecipients, type Recipients, restoreTestIdentityFile } from './recovery-keys.ts';
import { lastRun, recordBackup } from './results.ts';
import { findJob, findStore } from './settings.ts';
import { livePostgres, openSource } from './sources/open-source.ts';
import type { Source } from './sources/source.ts';
import { DirectoryStore } from './store/directory-store.ts';
import type { Store } from './store/store.ts';
import { storeObject } from './store-object.ts';
import { markerBytes, removeBackup, sweep } from './sweep.ts';
import { verifyBackup } from './verify.ts';
import { writerIdentity } from './writer-id.ts';

export type BackupOutcome = NonNullable<BackupResult['lastSuccess']>;

/**
 * Makes one backup of a job: sweeps what a killed run left, dumps, writes the manifest last, reads everything
 * back, then applies retention. Whatever fails leaves nothing in the store that could pass for a backup.
 * @throws AppError `lock/held` when the job runs already; classes `backup`, `store`, `preflight`
 */
export async function runBackup(context: BackupContext, jobName: string): Promise<BackupOutcome> {
  const { host, paths, settings, now } = context;
  const job = findJob(settings, jobName);
  const locks = posix.join(paths.agent, 'locks');
  return await exclusively(host, locks, `backup-${job.name}`, async () => {
    const startedAt = now();
    try {
      const outcome = await attempt(context, job, startedAt);
      await recordBackup(host, paths, job.name, lastRun(startedAt, now()), outcome);
      return outcome;
    } catch (error) {
      await recordBackup(host, paths, job.name, lastRun(startedAt, now(), error));
      throw error;
    }
  });
}

async function attempt(
  context: BackupContext,
  job: BackupJob,
  startedAt: Date,
): Promise<BackupOutcome> {
  const { host, engine, paths, settings, report } = context;
  const clock = performance.now();
  const writer = await writerIdentity(host, paths);
  await removeHelpers(host, engine, settings.project, `backup-${job.name}`);
  const store = await context.openStore(job.store);
  try {
    // First, so that a store that refuses us is known before the database is burdened.
    const { stored, removed, abortedUploads } = await sweep({
      store,
      place: settings,
      job: job.name,
      writerId: writer.id,
      now: startedAt,
    });
    if (removed.length + abortedUploads > 0) {
      report({ kind: 'notice', text: `removed what ${removed.length || 'a'} killed run left` });
    }
    const source = await openSource(context, job);
    try {
      await checkSpace(context, job, source, stored);
      const run = new Run(context, job, store, source, writer, startedAt);
      const made = await run.make();
      const verifiedAt = settings.readBack ? await run.verify() : undefined;
      await applyRetention(context, job, store);
      return {
        id: run.id,
        finishedAt: context.now().toISOString(),
        ...(verifiedAt === undefined ? {} : { verifiedAt }),
        bytes: made.objects.reduce((sum, { size }) => sum + size, 0),
        seconds: (performance.now() - clock) / 1000,
      };
    } finally {
      await source.close();
    }
  } finally {
    store.close();
  }
}

class Run {
  readonly id: string;
  readonly #context: BackupContext;
  readonly #job: BackupJob;
  readonly #store: Store;
  readonly #source: Source;
  readonly #writer: BackupManifest['writer'];
  readonly #startedAt: Date;
  readonly #folder: string;
  readonly #localCopy: LocalCopy | undefined;

  constructor(
    context: BackupContext,
    job: BackupJob,
    store: Store,
    source: Source,
    writer: BackupManifest['writer'],
    startedAt: Date,
  ) {
    this.id = newBackupId(startedAt);
    this.#context = context;
    this.#job = job;
    this.#store = store;
    this.#source = source;
    this.#writer = writer;
    this.#startedAt = startedAt;
    this.#folder = backupPrefix(context.settings, job.name, this.id);
    this.#localCopy =
      job.keepLocalSeconds === undefined
        ? undefined
        : new LocalCopy(localCopiesFolder(context.paths), context.report);
  }

  async make(): Promise<BackupManifest> {
    const { host, paths, settings } = this.#context;
    const recipients =
      settings.encryption === 'age'
        ? await prepareRecipients(host, paths, settings.recipients)
        : undefined;
    try {
      return await this.#storeAll(recipients);
    } catch (error) {
      await this.#takeBack();
      throw error;
    }
  }

  async #storeAll(recipients: Recipients | undefined): Promise<BackupManifest> {
    const marker = markerBytes({
      version: 1,
      id: this.id,
      startedAt: this.#startedAt.toISOString(),
      writer: this.#writer,
    });
    await this.#store.putSmall(`${this.#folder}${RUN_MARKER_NAME}`, marker);
    const objects: BackupManifest['objects'] = [];
    for (const object of this.#source.objects) {
      objects.push(
        await storeObject(
          {
            store: this.#store,
            folder: this.#folder,
            recipientsFile: recipients?.file,
            localCopy: this.#localCopy,
            onProgress: this.#progress(object.name),
          },
          object,
        ),
      );
    }
    const manifest = await this.#manifest(objects, recipients);
    const content = manifestBytes(manifest);
    await this.#localCopy?.put(`${this.#folder}${MANIFEST_NAME}`, content);
    await this.#store.putSmall(`${this.#folder}${MANIFEST_NAME}`, content);
    return manifest;
  }

  async verify(): Promise<string> {
    const { paths, settings } = this.#context;
    const isPostgres = this.#job.source.kind === 'postgres';
    const mark = await verifyBackup({
      context: this.#context,
      store: this.#store,
      job: this.#job.name,
      id: this.id,
      identityFile: settings.encryption === 'age' ? restoreTestIdentityFile(paths) : undefined,
      server: isPostgres
        ? await livePostgres(this.#context, `holdfast-backup-${this.#job.name}`)
        : undefined,
    });
    await this.#localCopy?.put(
      `${this.#folder}${VERIFIED_NAME}`,
      Buffer.from(`${JSON.stringify(mark)}\n`),
    );
    return mark.at;
  }

  async #manifest(
    objects: BackupManifest['objects'],
    recipients: Recipients | undefined,
  ): Promise<BackupManifest> {
    const { settings, now } = this.#context;
    const { server, tools, method } = this.#source;
    const configDigest = await appliedConfig(this.#context);
    return {
      format: 'holdfast-backup',
      version: 1,
      id: this.id,
      project: settings.project,
      job: this.#job.name,
      method,
      source: this.#job.source as BackupManifest['source'],
      startedAt: this.#startedAt.toISOString(),
      finishedAt: now().toISOString(),
      writer: this.#writer,
      ...(configDigest === undefined ? {} : { configDigest }),
      encryption:
        recipients === undefined
          ? { kind: 'none' }
          : { kind: 'age', recipients: [...recipients.keys] },
      ...(server === undefined ? {} : { server }),
      tools: { ...tools },
      objects,
    };
  }

  /** Leaves no object of a failed run; what cannot be removed now, the next run's sweep removes. */
  async #takeBack(): Promise<void> {
    const { settings, paths, report } = this.#context;
    const stores = [this.#store, new DirectoryStore(localCopiesFolder(paths))];
    for (const store of stores) {
      try {
        await removeBackup(store, settings, this.#job.name, this.id);
      } catch (error) {
        report({
          kind: 'warning',
          code: 'backup/leftovers',
          text: `what this run left stays until the next one: ${(error as Error).message}`,
        });
      }
    }
  }

  #progress(name: string): (bytes: number) => void {
    const { report, signal } = this.#context;
    let told = 0;
    return (bytes) => {
      if (signal?.aborted === true) throw interrupted();
      if (bytes - told < 32 * 1024 ** 2) return;
      told = bytes;
      report({
        kind: 'progress',
        id: 'backup',
        text: `${name} ${formatBytes(bytes)}`,
        done: bytes,
      });
    };
  }
}

function interrupted(): AppError {
  return new AppError({
    code: 'backup/interrupted',
    what: 'the backup was stopped',
    why: 'nothing of it stays in the store',
    hint: 'holdfast backup run',
  });
}

/** sha256 of the config that this server runs. */
async function appliedConfig({ host, paths }: BackupContext): Promise<string | undefined> {
  const content = await host.read(paths.manifest);
  if (content === undefined) return undefined;
  try {
    const { configDigest } = JSON.parse(Buffer.from(content).toString('utf8')) as {
      configDigest?: unknown;
    };
    return typeof configDigest === 'string' ? configDigest : undefined;
  } catch {
    // `apply` and `status` tell about a damaged manifest; a backup must be possible all the same.
    return undefined;
  }
}

async function checkSpace(
  { paths, settings }: BackupContext,
  job: BackupJob,
  source: Source,
  stored: readonly StoredBackup[],
): Promise<void> {
  const store = findStore(settings, job.store);
  const expected = source.objects.reduce((sum, { expectedBytes }) => sum + expectedBytes, 0);
  const previous = stored.find(({ complete }) => complete)?.size;
  // Dumps come to a fifth of their database as a rule; the last one knows better.
  const estimate = previous === undefined ? expected / 3 : previous * 1.3;
  if (store.kind === 'directory') await requireFreeSpace(store.path, estimate, 'this backup');
  if (job.keepLocalSeconds !== undefined) {
    await requireFreeSpace(paths.backups, estimate, 'the local copy of this backup');
  }
}
