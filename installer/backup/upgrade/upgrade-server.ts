import { posix } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Engine } from '../../engine/engine.ts';
import { AppError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { WITH_SHORT_LOG, WITHOUT_LOG } from '../../model/container-log.ts';
import type { Report } from '../../model/events.ts';
import type { Paths } from '../../model/paths.ts';
import { labelArguments, removeHelpers } from '../helper-container.ts';
import type { PostgresServer } from '../psql.ts';

/** What copies of clusters are made with. All of it works on another machine too. */
export interface UpgradeContext {
  readonly host: Host;
  readonly engine: Engine;
  readonly paths: Paths;
  readonly project: string;
  readonly report: Report;
  /** How the stack makes a cluster: words for initdb. */
  readonly initdbArgs: string;
  /** File of the host with the superuser's password, that the server's user can read. */
  readonly passwordFile: string;
}

export interface ServerRequest {
  readonly task: string;
  readonly image: string;
  /** As the engine calls it. */
  readonly volume: string;
  /** `old` is read, `new` is filled. */
  readonly role: 'old' | 'new';
}

/** Where both servers see the folder with the old one's socket. */
export const SHARED_SOCKET = '/holdfast-socket';
export const SUPERUSER = 'postgres';

const DATA = '/var/lib/postgresql/data';
/** uid and gid of `postgres` in the official images and in ours. */
const OWNER = 999;
/** A crash recovery, or making a cluster, on a slow disk. */
const PATIENCE_SECONDS = 900;
const POLL_MILLISECONDS = 200;
const MIB = 1024 ** 2;

const COMMON = [
  'hba_file=/etc/postgresql/pg_hba.conf',
  // Nobody from outside: there is no network. With TCP it is known when the cluster is made.
  'listen_addresses=127.0.0.1',
  'autovacuum=off',
  'max_connections=30',
  'logging_collector=off',
  'log_destination=stderr',
  // Statements are the user's data.
  'log_min_error_statement=panic',
  'log_min_duration_statement=-1',
];

const OWN: Readonly<Record<ServerRequest['role'], readonly string[]>> = {
  old: [
    `unix_socket_directories=/var/run/postgresql,${SHARED_SOCKET}`,
    'shared_buffers=128MB',
    // A dump locks every table at once.
    'max_locks_per_transaction=2048',
    'default_transaction_read_only=on',
  ],
  // Thrown away when it does not come to its end, and written out in one go at the end.
  new: [
    'unix_socket_directories=/var/run/postgresql',
    'shared_buffers=256MB',
    'maintenance_work_mem=256MB',
    'max_wal_size=1GB',
    'max_locks_per_transaction=2048',
    'fsync=off',
    'full_page_writes=off',
    'synchronous_commit=off',
    'wal_level=minimal',
    'max_wal_senders=0',
  ],
};

/**
 * Starts a server on a volume in a container of its own, without a network, and waits until it answers.
 * @throws AppError `restore/upgrade-server` with the end of its log
 */
export async function startServer(
  context: UpgradeContext,
  request: ServerRequest,
): Promise<PostgresServer> {
  const { host, engine, paths, project } = context;
  const sockets = socketFolder(paths, request.task);
  await markServers(context, request.task);
  const password = '/run/secrets/superuser';
  const { stdout } = await host.run({
    argv: [
      'docker',
      ...['run', '--detach', '--init'],
      ...labelArguments({ project, task: request.task }),
      ...WITH_SHORT_LOG,
      ...['--network', 'none'],
      ...['--user', `${OWNER}:${OWNER}`],
      ...['--cap-drop', 'ALL'],
      ...['--security-opt', 'no-new-privileges'],
      ...['--memory', String(2048 * MIB)],
      ...['--pids-limit', '256'],
      ...['--shm-size', '256m'],
      ...['--stop-signal', 'SIGINT'],
      ...['--tmpfs', `/var/run/postgresql:uid=${OWNER},gid=${OWNER},mode=2775,size=1m`],
      ...['--mount', `type=volume,source=${request.volume},target=${DATA}`],
      ...['--mount', `type=bind,source=${paths.stack}/postgres,target=/etc/postgresql,readonly`],
      ...['--mount', `type=bind,source=${sockets},target=${SHARED_SOCKET}`],
      ...['--mount', `type=bind,source=${context.passwordFile},target=${password},readonly`],
      ...['--env', `POSTGRES_PASSWORD_FILE=${password}`],
      ...['--env', `POSTGRES_INITDB_ARGS=${context.initdbArgs}`],
      request.image,
      'postgres',
      ...[...COMMON, ...OWN[request.role]].flatMap((setting) => ['-c', setting]),
    ],
  });
  const server: PostgresServer = {
    engine,
    container: stdout.trim(),
    superuser: SUPERUSER,
    applicationName: 'holdfast-upgrade',
  };
  await ready(context, server);
  return server;
}

/** Makes the folder of their sockets. */
export async function markServers({ host, paths }: UpgradeContext, task: string): Promise<void> {
  await host.makeDirectory(socketFolder(paths, task), { mode: 0o700, uid: OWNER, gid: OWNER });
}

async function ready({ host }: UpgradeContext, server: PostgresServer): Promise<void> {
  const { engine, container } = server;
  const deadline = performance.now() + PATIENCE_SECONDS * 1000;
  for (;;) {
    const { stdout } = await host.run({
      argv: ['docker', 'inspect', '--format', '{{.State.Running}}', container],
    });
    const runs = stdout.trim() === 'true';
    if (runs) {
      const { exitCode } = await engine
        .exec(container, { argv: ['pg_isready', '-q', '--host=127.0.0.1', '--timeout=3'] })
        // It ended between the look and the question, which the next look tells.
        .catch(() => ({ exitCode: 1 }));
      if (exitCode === 0) return;
    }
    if (!runs || performance.now() > deadline) {
      throw new AppError({
        code: 'restore/upgrade-server',
        what: 'a server for the copy of the cluster did not start',
        why: await logOf(host, container),
        hint: 'look at free memory and disk: `holdfast doctor`',
      });
    }
    await wait(POLL_MILLISECONDS);
  }
}

/** @throws AppError `restore/upgrade-server` when its files may not be whole */
export async function stopServer({ host }: UpgradeContext, server: PostgresServer): Promise<void> {
  await host.run({ argv: ['docker', 'stop', '--time', '600', server.container] });
  const { stdout } = await host.run({
    argv: ['docker', 'inspect', '--format', '{{.State.ExitCode}}', server.container],
  });
  if (stdout.trim() === '0') return;
  throw new AppError({
    code: 'restore/upgrade-server',
    what: 'a server for the copy of the cluster did not shut down well',
    why: `exit code ${stdout.trim()}\n${await logOf(host, server.container)}`,
    hint: 'run the same command again',
  });
}

/** Everything that a copy left behind, but its volumes. */
export async function removeServers(context: UpgradeContext, task: string): Promise<void> {
  await removeHelpers(context.host, context.engine, context.project, task);
  await context.host.remove(socketFolder(context.paths, task), { recursive: true });
}

/** What was written without waiting for the disk is on it from here on. */
export async function syncVolume(
  { host, project }: UpgradeContext,
  { task, image, volume }: ServerRequest,
): Promise<void> {
  await host.run({
    argv: [
      'docker',
      ...['run', '--rm'],
      ...labelArguments({ project, task }),
      ...WITHOUT_LOG,
      ...['--network', 'none'],
      ...['--user', `${OWNER}:${OWNER}`],
      ...['--cap-drop', 'ALL'],
      ...['--mount', `type=volume,source=${volume},target=${DATA}`],
      ...['--entrypoint', 'initdb'],
      image,
      ...['--sync-only', `--pgdata=${DATA}`],
    ],
    timeoutSeconds: 6 * 3600,
  });
}

/** There as long as the servers are: what a killed run left is seen by it. */
export function socketFolder(paths: Paths, task: string): string {
  return posix.join(paths.state, `${task}-socket`);
}

async function logOf(host: Host, container: string): Promise<string> {
  const { stdout, stderr } = await host.run({
    argv: ['docker', 'logs', '--tail', '12', container],
    okExitCodes: [0, 1],
  });
  return (stdout + stderr).trim();
}
