import { AppError } from '../errors.ts';
import type { BackupJob, BackupSource } from '../model/backup-settings.ts';
import { formatBytes } from '../model/format-bytes.ts';
import { newBackupId } from './backup-id.ts';
import type { BackupContext } from './context.ts';
import { backupPrefix, MANIFEST_NAME, RUN_MARKER_NAME, VERIFIED_NAME } from './keys.ts';
import { LocalCopy, localCopiesFolder } from './local-copy.ts';
import { type BackupManifest, manifestBytes } from './manifest.ts';
import { Pace } from './pace.ts';
import { prepareRecipients, type Recipients, restoreTestIdentityFile } from './recovery-keys.ts';
import { livePostgres } from './sources/open-source.ts';
import type { Source } from './sources/source.ts';
import { DirectoryStore } from './store/directory-store.ts';
import type { Store } from './store/store.ts';
import { storeObject } from './store-object.ts';
import { markerBytes, removeBackup } from './sweep.ts';
import { verifyBackup } from './verify.ts';

/** How often progress is told, bytes. */
const TELL_EVERY = 32 * 1024 ** 2;

export interface RunInput {
  readonly context: BackupContext;
  readonly job: BackupJob;
  readonly store: Store;
  readonly source: Source;
  readonly writer: BackupManifest['writer'];
  readonly startedAt: Date;
}

/** One run of a job: the objects, the manifest last, and the reading back. */
export class BackupRun {
  readonly id: string;
  readonly #input: RunInput;
  readonly #folder: string;
  readonly #localCopy: LocalCopy | undefined;

  constructor(input: RunInput) {
    const { context, job, startedAt } = input;
    this.id = newBackupId(startedAt);
    this.#input = input;
    this.#folder = backupPrefix(context.settings, job.name, this.id);
    this.#localCopy =
      job.keepLocalSeconds === undefined
        ? undefined
        : new LocalCopy(localCopiesFolder(context.paths), context.report);
  }

  async make(): Promise<BackupManifest> {
    const { host, paths, settings, report } = this.#input.context;
    if (settings.encryption === 'age' && settings.recipients.length === 0) {
      report({
        kind: 'warning',
        code: 'backup/no-recipients',
        text: 'only the key on this server opens this backup: add one of yours to backups.recipients',
      });
    }
    const marking = this.#mark();
    try {
      marking.catch(() => undefined);
      const recipients =
        settings.encryption === 'age'
          ? await prepareRecipients(host, paths, settings.recipients)
          : undefined;
      await marking;
      return await this.#storeAll(recipients);
    } catch (error) {
      await marking.catch(() => undefined);
      await this.#takeBack();
      throw error;
    }
  }

  async #mark(): Promise<void> {
    const marker = markerBytes({
      version: 1,
      id: this.id,
      startedAt: this.#input.startedAt.toISOString(),
      writer: this.#input.writer,
    });
    await this.#input.store.putSmall(`${this.#folder}${RUN_MARKER_NAME}`, marker);
  }

  async #storeAll(recipients: Recipients | undefined): Promise<BackupManifest> {
    const objects: BackupManifest['objects'] = [];
    const { context, source } = this.#input;
    const pace =
      source.isPressed === undefined ? undefined : Pace.beside(context, source.isPressed);
    for (const object of source.objects) {
      objects.push(
        await storeObject(
          {
            store: this.#input.store,
            folder: this.#folder,
            recipientsFile: recipients?.file,
            localCopy: this.#localCopy,
            pace,
            lockedUntil: lockEnd(this.#input.job, this.#input.startedAt),
            onProgress: this.#progress(object.name),
          },
          object,
        ),
      );
    }
    const manifest = await this.#manifest(objects, recipients);
    const content = manifestBytes(manifest);
    await this.#localCopy?.put(`${this.#folder}${MANIFEST_NAME}`, content);
    const lockedUntil = lockEnd(this.#input.job, this.#input.startedAt);
    await this.#input.store.putSmall(`${this.#folder}${MANIFEST_NAME}`, content, lockedUntil);
    return manifest;
  }

  async verify(): Promise<string> {
    const { paths, settings } = this.#input.context;
    const isPostgres = this.#input.job.source.kind === 'postgres';
    const mark = await verifyBackup({
      context: this.#input.context,
      store: this.#input.store,
      job: this.#input.job.name,
      id: this.id,
      identityFile: settings.encryption === 'age' ? restoreTestIdentityFile(paths) : undefined,
      server: isPostgres
        ? await livePostgres(this.#input.context, `holdfast-backup-${this.#input.job.name}`)
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
    const { settings, now } = this.#input.context;
    const { server, tools, method, base } = this.#input.source;
    const configDigest = await appliedConfig(this.#input.context);
    return {
      format: 'holdfast-backup',
      version: 1,
      id: this.id,
      project: settings.project,
      job: this.#input.job.name,
      method,
      source: savedSource(this.#input.job.source, this.#input.source),
      startedAt: this.#input.startedAt.toISOString(),
      finishedAt: now().toISOString(),
      writer: this.#input.writer,
      ...(configDigest === undefined ? {} : { configDigest }),
      encryption:
        recipients === undefined
          ? { kind: 'none' }
          : { kind: 'age', recipients: [...recipients.keys] },
      ...(server === undefined ? {} : { server }),
      ...(base === undefined ? {} : { base: base() }),
      tools: { ...tools },
      objects,
    };
  }

  /** Leaves no object of a failed run; what cannot be removed now, the next run's sweep removes. */
  async #takeBack(): Promise<void> {
    const { settings, paths, report } = this.#input.context;
    const stores = [this.#input.store, new DirectoryStore(localCopiesFolder(paths))];
    for (const store of stores) {
      try {
        await removeBackup(store, settings, this.#input.job.name, this.id);
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
    const { report, signal } = this.#input.context;
    let told = 0;
    return (bytes) => {
      if (signal?.aborted === true) throw interrupted();
      if (bytes - told < TELL_EVERY) return;
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

/** Until when the store lets nobody change or remove what a run of the job makes. */
export function lockEnd({ lockSeconds }: BackupJob, startedAt: Date): Date | undefined {
  return lockSeconds === undefined ? undefined : new Date(startedAt.getTime() + lockSeconds * 1000);
}

/** Commands of an accessory are those of the config that is in force at a restore. */
function savedSource(source: BackupSource, { databases }: Source): BackupManifest['source'] {
  switch (source.kind) {
    case 'accessory':
      return { kind: 'accessory', name: source.name };
    case 'volume': {
      const { kind, name, volume, service } = source;
      return { kind, name, volume, service };
    }
    case 'postgres':
      return { ...source, databases: [...(databases ?? source.databases)] };
    case 'backup':
      throw new TypeError('copies have the manifests of what they are copied from');
    default:
      return source;
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
