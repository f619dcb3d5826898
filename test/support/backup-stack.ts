import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BackupContext } from '../../installer/backup/context.ts';
import { findStore, readSecret } from '../../installer/backup/settings.ts';
import { openStore } from '../../installer/backup/store/open-store.ts';
import type { Store } from '../../installer/backup/store/store.ts';
import { DockerEngine } from '../../installer/engine/docker.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type {
  BackupJob,
  BackupSettings,
  BackupStore,
} from '../../installer/model/backup-settings.ts';
import type { ProgressEvent } from '../../installer/model/events.ts';
import { LABELS } from '../../installer/model/labels.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { lookUntil } from './look-until.ts';

const run = promisify(execFile);
/** Nothing is young enough, however soon after one another they are made: the last three verified ones stay. */
export const NOTHING_YOUNG = { keepSeconds: -1 };

/** Milliseconds that a first start may take on a slow machine beside others. */
const PATIENCE = 180_000;

/** The newest image of a repository that the machine has, or undefined. */
export async function newestImage(repository: string): Promise<string | undefined> {
  const { stdout } = await run('docker', [
    'images',
    '--format',
    '{{.Repository}}:{{.Tag}}',
    repository,
  ]);
  return stdout.split('\n').find((line) => line !== '' && !line.endsWith(':<none>'));
}

/** Enough to find a stack from another process. */
export interface StackIdentity {
  readonly project: string;
  readonly root: string;
  readonly image: string;
}

/** A real Postgres in a container, and everything that a backup needs around it, in a folder of its own. */
export class BackupStack {
  readonly project: string;
  readonly container: string;
  readonly engine = new DockerEngine();
  readonly host = new LocalHost();
  readonly events: ProgressEvent[] = [];
  readonly root: string;
  readonly image: string;

  private constructor({ project, root, image }: StackIdentity) {
    this.project = project;
    this.container = `${project}-postgres-1`;
    this.root = root;
    this.image = image;
  }

  static attach(identity: StackIdentity): BackupStack {
    return new BackupStack(identity);
  }

  identity(): StackIdentity {
    const { project, root, image } = this;
    return { project, root, image };
  }

  /** Everything but the server. */
  static async lab(image: string): Promise<BackupStack> {
    return new BackupStack({
      project: `bktest-${randomBytes(4).toString('hex')}`,
      root: await mkdtemp(join(tmpdir(), 'holdfast-backup-')),
      image,
    });
  }

  static async start(image: string, options: readonly string[] = []): Promise<BackupStack> {
    const stack = await BackupStack.lab(image);
    await stack.docker([
      'run',
      '--detach',
      // As in the product: a server that is the first process takes a killed program that lost its parent for a crash.
      '--init',
      ...['--name', stack.container],
      ...stack.labels(),
      ...(options.includes('--network') ? [] : ['--network', 'none']),
      ...['--env', 'POSTGRES_HOST_AUTH_METHOD=trust'],
      ...options,
      image,
    ]);
    await stack.ready();
    return stack;
  }

  labels(): string[] {
    return [
      ...['--label', 'io.holdfast.test=1'],
      ...['--label', `${LABELS.project}=${this.project}`],
    ];
  }

  async ready(): Promise<void> {
    const argv = ['pg_isready', '-q', '-h', '127.0.0.1'] as const;
    await lookUntil(
      PATIENCE,
      async () => {
        const { exitCode } = await this.engine.exec(this.container, { argv });
        return exitCode === 0 ? true : undefined;
      },
      () => 'Postgres did not start',
    );
  }

  async docker(argv: readonly string[]): Promise<string> {
    return (await run('docker', argv, { maxBuffer: 64 * 1024 ** 2 })).stdout.trim();
  }

  /** Runs SQL and gives the unaligned output. */
  async sql(database: string, script: string): Promise<string> {
    const result = await this.engine.exec(this.container, {
      argv: ['psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', database],
      user: 'postgres',
      stdin: script,
    });
    if (result.exitCode !== 0) throw new Error(result.stderr);
    return result.stdout.trim();
  }

  get paths(): ReturnType<typeof pathsUnder> {
    return pathsUnder(this.root);
  }

  settings(over: Partial<BackupSettings> = {}): BackupSettings {
    return {
      version: 1,
      project: this.project,
      prefix: 'backups',
      timezone: 'UTC',
      stores: [{ kind: 'directory', name: 'local', path: join(this.root, 'store') }],
      jobs: [this.job()],
      recipients: [],
      encryption: 'age',
      readBack: true,
      assertions: [],
      objectives: {},
      postgres: { container: this.container, image: this.image, superuser: 'postgres' },
      ...over,
    };
  }

  job(over: Partial<BackupJob> = {}): BackupJob {
    return {
      name: 'daily',
      source: { kind: 'postgres', databases: ['shop'] },
      cron: '0 2 * * *',
      store: 'local',
      keepRemote: { keepSeconds: 30 * 86_400 },
      ...over,
    };
  }

  context(over: Partial<BackupSettings> = {}, more: Partial<BackupContext> = {}): BackupContext {
    const settings = this.settings(over);
    return {
      host: this.host,
      engine: this.engine,
      paths: this.paths,
      settings,
      report: (event) => this.events.push(event),
      now: () => new Date(),
      openStore: (name) => this.store(findStore(settings, name)),
      ...more,
    };
  }

  async store(settings: BackupStore): Promise<Store> {
    const { host, paths } = this;
    return await openStore(settings, (name) => readSecret(host, paths, name), { host, paths });
  }

  async stop(): Promise<void> {
    const ids = await this.docker([
      'ps',
      '-aq',
      '--filter',
      `label=${LABELS.project}=${this.project}`,
    ]);
    for (const id of ids.split('\n').filter((line) => line !== '')) {
      await this.docker(['rm', '--force', '--volumes', id]);
    }
    const volumes = await this.docker([
      'volume',
      'ls',
      '-q',
      '--filter',
      `label=${LABELS.project}=${this.project}`,
    ]);
    for (const volume of volumes.split('\n').filter((line) => line !== '')) {
      await this.docker(['volume', 'rm', '--force', volume]);
    }
    await this.engine.close();
    await rm(this.root, { recursive: true, force: true });
  }
}
