import { setTimeout as wait } from 'node:timers/promises';
import { AppError } from '../../errors.ts';
import { WITH_SHORT_LOG } from '../../model/container-log.ts';
import type { BackupContext } from '../context.ts';
import { labelArguments } from '../helper-container.ts';
import type { PostgresServer } from '../psql.ts';
import type { ClusterVolume } from './cluster-volume.ts';
import { type RecoveryTarget, targetSettings, targetText } from './point-in-time.ts';

/** Looking enters the container, and a recovery may take hours: the pause grows with what was waited. */
const SHORTEST_PAUSE = 300;
const LONGEST_PAUSE = 5_000;
/** Where the container sees the WAL that was fetched. */
const WAL_MOUNT = '/holdfast-wal';
const DATA = '/var/lib/postgresql/data';
const MIB = 1024 ** 2;

/** Enough for the log of a recovery; errors stand at its end. */
const LOG_LINES = '400';

export interface Recovered {
  readonly server: PostgresServer;
  /** When the last transaction that it holds was committed, as its log says it; undefined when there was none in the WAL. */
  readonly lastCommit: string | undefined;
  /** The WAL ended before the time that was asked for. */
  readonly isShort?: boolean;
}

export interface RecoverRequest {
  readonly task: string;
  readonly image: string;
  readonly superuser: string;
  readonly volume: ClusterVolume;
  /** Folder of this machine with the WAL. */
  readonly walFolder: string;
  readonly target: RecoveryTarget;
  /** `recovery_target_timeline` */
  readonly timeline: string;
  /** More options of `docker run`. */
  readonly limits: readonly string[];
}

/**
 * Rolls a base backup forward in a container of its own without a network, up to the target, and leaves the
 * server running for the checks. It ends as a cluster of a new timeline.
 * @throws AppError `restore/target-not-reached`, `restore/recovery`
 */
export async function recoverCluster(
  context: BackupContext,
  request: RecoverRequest,
): Promise<Recovered> {
  const container = await start(context, request, targetSettings(request.target));
  const server = {
    engine: context.engine,
    container,
    superuser: request.superuser,
    applicationName: 'holdfast-restore',
  };
  const end = await untilOver(context, server);
  const log = await logOf(context, container);
  if (end === 'stopped') throw recoveryFailed(request.target, log);
  return { server, lastCommit: lastCommitIn(log) };
}

async function start(
  { host, settings }: BackupContext,
  { task, image, volume, walFolder, limits, timeline }: RecoverRequest,
  target: readonly string[],
): Promise<string> {
  const settingsOf = [
    `restore_command=cp ${WAL_MOUNT}/%f %p`,
    ...target,
    `recovery_target_timeline=${timeline}`,
    'recovery_target_action=promote',
    // Nobody reads meanwhile, and without readers the limits of the live server need not be met.
    'hot_standby=off',
    'max_prepared_transactions=256',
    'max_connections=30',
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=/var/run/postgresql',
    'shared_buffers=128MB',
    'max_wal_size=2GB',
    'autovacuum=off',
    'logging_collector=off',
    'log_destination=stderr',
    'log_timezone=UTC',
    // Statements are the user's data.
    'log_min_error_statement=panic',
  ];
  const { stdout } = await host.run({
    argv: [
      'docker',
      ...['run', '--detach', '--init'],
      ...labelArguments({ project: settings.project, task }),
      ...WITH_SHORT_LOG,
      ...['--network', 'none'],
      ...limits,
      ...['--memory', String(1024 * MIB)],
      ...['--pids-limit', '256'],
      ...['--shm-size', '256m'],
      ...['--security-opt', 'no-new-privileges'],
      ...['--stop-signal', 'SIGINT'],
      ...['--mount', `type=volume,source=${volume.engineName},target=${DATA},volume-nocopy`],
      ...['--mount', `type=bind,source=${walFolder},target=${WAL_MOUNT},readonly`],
      image,
      'postgres',
      ...settingsOf.flatMap((setting) => ['-c', setting]),
    ],
  });
  return stdout.trim();
}

/** It takes connections once the recovery is over: until then `hot_standby=off` refuses them. */
async function untilOver(
  { host, signal }: BackupContext,
  { engine, container }: PostgresServer,
): Promise<'ready' | 'stopped'> {
  const begun = performance.now();
  for (;;) {
    if (signal?.aborted === true) throw interrupted();
    const { stdout } = await host.run({
      argv: ['docker', 'inspect', '--format', '{{.State.Running}}', container],
    });
    if (stdout.trim() !== 'true') return 'stopped';
    const { exitCode } = await engine
      .exec(container, { argv: ['pg_isready', '-q', '--host=127.0.0.1', '--timeout=3'] })
      // It ended between the look and the question, which the next look tells.
      .catch(() => ({ exitCode: 1 }));
    if (exitCode === 0) return 'ready';
    const waited = performance.now() - begun;
    await wait(Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, waited / 10)));
  }
}

/** Written out, so that the volume is a cluster that was shut down well. */
export async function stopRecovered({ host }: BackupContext, container: string): Promise<void> {
  await host.run({ argv: ['docker', 'stop', '--time', '300', container] });
  const { stdout } = await host.run({
    argv: ['docker', 'inspect', '--format', '{{.State.ExitCode}}', container],
  });
  if (stdout.trim() === '0') return;
  throw new AppError({
    code: 'restore/recovery',
    what: 'the restored cluster did not shut down well',
    why: `exit code ${stdout.trim()}`,
    hint: 'the live cluster was not touched; run the same restore again',
  });
}

async function logOf({ host }: BackupContext, container: string): Promise<string> {
  const { stdout, stderr } = await host.run({
    argv: ['docker', 'logs', '--tail', LOG_LINES, container],
  });
  return stdout + stderr;
}

/** The server tells it when the recovery ends. */
function lastCommitIn(log: string): string | undefined {
  const [, time] = /last completed transaction was at log time ([0-9-]+ [0-9:.]+)/.exec(log) ?? [];
  return time === undefined ? undefined : `${time.replace(' ', 'T')}Z`;
}

function recoveryFailed(target: RecoveryTarget, log: string): AppError {
  const lines = log.trim().split('\n');
  const why = lines.filter((line) => /FATAL|PANIC|ERROR/.test(line)).slice(-4);
  if (log.includes('recovery ended before configured recovery target was reached')) {
    return new AppError({
      code: 'restore/target-not-reached',
      what: `the WAL ends before ${targetText(target)}`,
      why: `the last transaction in it was committed at ${lastCommitIn(log) ?? 'an unknown time'}`,
      hint: 'holdfast restore --latest',
    });
  }
  return new AppError({
    code: 'restore/recovery',
    what: `the base backup could not be rolled forward to ${targetText(target)}`,
    why: (why.length > 0 ? why : lines.slice(-6)).join('\n'),
    hint: 'the live cluster was not touched; choose an earlier moment: `holdfast restore --to …`',
  });
}

function interrupted(): AppError {
  return new AppError({
    code: 'backup/interrupted',
    what: 'the restore was stopped',
    why: 'the live cluster was not touched',
    hint: 'run the same restore again',
  });
}
