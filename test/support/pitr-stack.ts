import { type ChildProcess, spawn } from 'node:child_process';
import { chown, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClusterVolume } from '../../installer/backup/restore/cluster-volume.ts';
import { listReceived } from '../../installer/backup/wal/receiver-folder.ts';
import { readWalStatus } from '../../installer/backup/wal/wal-status.ts';
import { WAL_SLOT } from '../../installer/components/postgres/names.ts';
import { receiverCommand } from '../../installer/components/postgres/wal-receiver.ts';
import type { BackupSettings } from '../../installer/model/backup-settings.ts';
import type { WalStatus } from '../../installer/model/wal-status.ts';
import { BackupStack } from './backup-stack.ts';
import { isShipped } from './is-shipped.ts';
import { lookUntil } from './look-until.ts';

const SERVER_UID = 999;
const PATIENCE = 300_000;

/** A real Postgres with a real WAL receiver beside it, and a shipper in a process of its own. */
export class PitrStack {
  readonly stack: BackupStack;
  readonly passSeconds: number;
  readonly #network: string;
  #shipper: { readonly child: ChildProcess; readonly gone: Promise<unknown> } | undefined;
  #volume = '';

  private constructor(stack: BackupStack, network: string, passSeconds: number) {
    this.stack = stack;
    this.passSeconds = passSeconds;
    this.#network = network;
  }

  /** @param options more for `docker run` of the server */
  static async start(
    image: string,
    passSeconds: number,
    options: readonly string[] = [],
  ): Promise<PitrStack> {
    const network = `pitr-${process.pid}-${Date.now().toString(36)}`;
    const docker = BackupStack.attach({ project: network, root: '', image });
    const label = ['--label', 'io.holdfast.test=1'];
    await docker.docker(['network', 'create', '--internal', ...label, network]);
    await docker.engine.close();
    const stack = await BackupStack.start(image, ['--network', network, '--init', ...options]);
    const pitr = new PitrStack(stack, network, passSeconds);
    await pitr.#letReceiverIn();
    await pitr.startReceiver();
    return pitr;
  }

  get folder(): string {
    return join(this.stack.root, 'wal');
  }

  get receiver(): string {
    return `${this.stack.project}-postgres-wal-1`;
  }

  over(more: Partial<BackupSettings> = {}): Partial<BackupSettings> {
    return {
      jobs: [
        {
          name: 'base',
          source: { kind: 'postgres', databases: ['shop'] },
          method: 'physical',
          cron: '0 1 * * *',
          store: 'local',
          keepRemote: { keepSeconds: 8 * 86_400 },
        },
      ],
      pitr: {
        job: 'base',
        store: 'local',
        rpoSeconds: 6 * this.passSeconds,
        windowSeconds: 7 * 86_400,
        folder: this.folder,
        slot: WAL_SLOT,
      },
      ...more,
    };
  }

  async startReceiver(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await chown(this.folder, SERVER_UID, SERVER_UID);
    await this.stack.docker([
      ...['run', '--detach', '--init', '--name', this.receiver],
      ...this.stack.labels(),
      ...['--network', this.#network, '--user', `${SERVER_UID}:${SERVER_UID}`],
      ...['--volume', `${this.folder}:/wal`],
      ...['--env', `PGHOST=${this.stack.container}`, '--env', 'PGUSER=postgres'],
      this.stack.image,
      ...receiverCommand('/wal'),
    ]);
  }

  async stopReceiver(): Promise<void> {
    await this.stack.docker(['rm', '--force', '--volumes', this.receiver]);
  }

  /** What lies there was shipped; a receiver that starts goes by its slot then. */
  async emptyFolder(): Promise<void> {
    for (const name of await readdir(this.folder)) await rm(join(this.folder, name));
  }

  startShipper(): void {
    const child = spawn(
      process.execPath,
      [
        new URL('ship-wal-child.ts', import.meta.url).pathname,
        JSON.stringify(this.stack.identity()),
        JSON.stringify(this.over()),
        String(this.passSeconds),
      ],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    );
    this.#shipper = { child, gone: new Promise((resolve) => child.once('exit', resolve)) };
  }

  async killShipper(): Promise<void> {
    this.#shipper?.child.kill('SIGKILL');
    await this.#shipper?.gone;
    this.#shipper = undefined;
  }

  /** Waits for a state of the shipper. */
  async until(what: string, holds: (status: WalStatus) => boolean | Promise<boolean>) {
    let status: WalStatus | undefined;
    return await lookUntil(
      PATIENCE,
      async () => {
        status = await readWalStatus(this.stack.host, this.stack.paths);
        return status !== undefined && (await holds(status)) ? status : undefined;
      },
      () => `${what}: ${JSON.stringify(status)}`,
    );
  }

  /** Everything that was committed up to now lies in the store. */
  async shipped(): Promise<void> {
    const lsn = await this.stack.sql('postgres', 'SELECT pg_current_wal_flush_lsn()');
    const received = `SELECT coalesce(bool_or(write_lsn >= '${lsn}'), false) FROM pg_stat_replication
      WHERE application_name = 'pg_receivewal'`;
    await this.until('the receiver has it', async () => {
      return (await this.stack.sql('postgres', received)) === 't';
    });
    const there = await listReceived(this.folder);
    await this.until('it is shipped', (status) => isShipped(there, status));
  }

  /** What a swap does in a real stack: the container again, on the restored volume. */
  swap = async (volume: ClusterVolume): Promise<{ kept: string }> => {
    const { stack } = this;
    const kept = this.#volume;
    await stack.docker(['rm', '--force', stack.container]).catch(() => '');
    await stack.docker([
      ...['run', '--detach', '--init', '--name', stack.container],
      ...stack.labels(),
      ...['--network', this.#network],
      ...['--volume', `${volume.engineName}:/var/lib/postgresql/data`],
      stack.image,
    ]);
    this.#volume = volume.engineName;
    await stack.ready();
    return { kept };
  };

  /** The machine is gone: server, its data, the receiver and what it had, the shipper. */
  async loseEverything(): Promise<void> {
    await this.stack.docker(['kill', '--signal', 'KILL', this.stack.container]);
    await this.killShipper();
    await this.stack.docker(['rm', '--force', '--volumes', this.stack.container]);
    await this.stopReceiver();
    await rm(this.folder, { recursive: true });
    await rm(join(this.stack.paths.agent, 'results'), { recursive: true });
  }

  async #letReceiverIn(): Promise<void> {
    await this.stack.docker([
      ...['exec', '--user', 'postgres', this.stack.container],
      ...['sh', '-c', 'echo "host replication all all trust" >>"$PGDATA/pg_hba.conf"'],
    ]);
    await this.stack.sql('postgres', 'SELECT pg_reload_conf()');
  }

  /** Keys of the stored objects that match. */
  async stored(part: string): Promise<string[]> {
    const root = join(this.stack.root, 'store');
    const names = await readdir(root, { recursive: true, withFileTypes: true });
    return names
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .filter((path) => path.includes(part))
      .sort();
  }

  async stop(): Promise<void> {
    await this.killShipper();
    await this.stack.docker(['rm', '--force', '--volumes', this.stack.container]).catch(() => '');
    await this.stack.stop();
    const docker = BackupStack.attach({ project: this.#network, root: '', image: '' });
    await docker.docker(['network', 'rm', this.#network]);
    await docker.engine.close();
  }
}
