import { resolve } from 'node:path';
import { apply as applyServer, planServer } from '../apply/apply.ts';
import { thisProcess } from '../apply/process-identity.ts';
import type { BackupContext } from '../backup/context.ts';
import { restoreTestIdentityFile } from '../backup/recovery-keys.ts';
import type { BaseWish } from '../backup/restore/choose-base.ts';
import type { ClusterVolume } from '../backup/restore/cluster-volume.ts';
import {
  parseLsnTarget,
  parseTime,
  type RecoveryTarget,
  targetText,
} from '../backup/restore/point-in-time.ts';
import {
  planClusterRestore,
  type RestoredCluster,
  type RestorePlan,
  restoreCluster as restoreToPoint,
} from '../backup/restore/restore-cluster.ts';
import { POSTGRES_SERVICE, POSTGRES_VOLUME, WAL_SERVICE } from '../components/postgres/names.ts';
import { env } from '../env.ts';
import { AppError } from '../errors.ts';
import { formatBytes, formatSpan } from '../model/format-bytes.ts';
import type { Operation } from '../model/operation.ts';
import { engineName } from '../model/stack.ts';
import { configInForce } from './applied-config.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';
import { frontDoor } from './front-door.ts';
import { otherMajors } from './other-majors.ts';
import { type Prepared, prepare } from './prepare.ts';
import type { LoadedConfig } from './read-config.ts';
import { startChainAnew } from './start-anew.ts';

/** Seconds that a swap waits for an apply which is at work. */
const WAIT_FOR_APPLY = 600;

/** The point in time that the options name; undefined when they name none. @throws AppError of class `usage` */
export function targetOf(args: ParsedArguments, timezone: string): RecoveryTarget | undefined {
  const [time, lsn, name] = ['to', 'to-lsn', 'to-name'].map((option) => args.value(option));
  const targets: RecoveryTarget[] = [
    ...(args.flag('latest') ? [{ kind: 'latest' } as const] : []),
    ...(time === undefined ? [] : [{ kind: 'time', time: parseTime(time, timezone) } as const]),
    ...(lsn === undefined ? [] : [{ kind: 'lsn', lsn: parseLsnTarget(lsn) } as const]),
    ...(name === undefined ? [] : [{ kind: 'name', name } as const]),
  ];
  const [target] = targets;
  if (targets.length > 1) {
    throw usage('only one of --latest, --to, --to-lsn and --to-name says where to stop');
  }
  const others = ['into', 'database', 'job'].filter((option) => args.value(option) !== undefined);
  if (target !== undefined && (others.length > 0 || args.positionals.length > 0)) {
    throw usage(
      'a point in time is restored with the whole cluster, from the base that leads there',
    );
  }
  if (target === undefined && args.flag('dry-run')) {
    throw usage('--dry-run goes with --latest, --to, --to-lsn or --to-name');
  }
  return target;
}

/** `holdfast restore --latest | --to TIME | --to-lsn LSN | --to-name NAME`. */
export async function restorePointInTime(
  args: ParsedArguments,
  context: CliContext,
  backup: BackupContext,
  target: RecoveryTarget,
  ask: (question: string) => Promise<void>,
): Promise<number> {
  const identity = args.value('identity');
  const from = args.value('from');
  const wish: BaseWish = {
    target,
    identityFile:
      identity === undefined ? restoreTestIdentityFile(backup.paths) : resolve(identity),
    ...(from === undefined ? {} : { from }),
  };
  const json = args.flag('json');
  if (args.flag('dry-run')) {
    const plan = await planClusterRestore(backup, wish);
    context.io.out(json ? `${JSON.stringify({ version: 1, ...plan })}\n` : planText(plan, target));
    return 0;
  }
  const { host, paths } = backup;
  const loaded = await configInForce(args.value('config'), { host, paths });
  await refuseWaitingChanges(context, loaded);
  const done = await restoreToPoint(backup, {
    ...wish,
    consent: ask,
    swap: (volume) => swapVolume(context, loaded, volume),
    majors: otherMajors(context, await context.open(), loaded.config.project),
  });
  const base = await startChainAnew(backup);
  const answer = { version: 1, target: targetText(target), ...done, newBase: base };
  context.io.out(json ? `${JSON.stringify(answer)}\n` : restoredText(done, base, target));
  return 0;
}

/** Before the work rather than after it: the swap is an apply, and brings nothing else along. */
async function refuseWaitingChanges(context: CliContext, loaded: LoadedConfig): Promise<void> {
  const prepared = await preparedFor(context, loaded, undefined);
  const { plan } = await planServer(prepared.apply, { render: prepared.render });
  const others = plan.operations.filter((operation) => !isOfPostgres(operation));
  if (others.length === 0) return;
  throw new AppError({
    code: 'config/not-applied',
    what: 'a cluster is not restored while other changes wait',
    why: others.map(({ id }) => id).join('\n'),
    hint: 'holdfast apply',
  });
}

/** A server that is down is what the restore is for. */
function isOfPostgres(operation: Operation): boolean {
  return (
    operation.kind === 'compose-up' &&
    operation.services.every(({ service }) => [POSTGRES_SERVICE, WAL_SERVICE].includes(service))
  );
}

async function preparedFor(
  context: CliContext,
  loaded: LoadedConfig,
  postgresVolume: string | undefined,
): Promise<Prepared> {
  const server = await context.open();
  return await prepare(context, server, {
    loaded,
    ...(postgresVolume === undefined ? {} : { postgresVolume }),
  });
}

/** The lock file names the volume that Postgres runs on, so that every later apply keeps to it. */
export async function swapVolume(
  context: CliContext,
  loaded: LoadedConfig,
  volume: ClusterVolume,
): Promise<{ readonly kept: string }> {
  const { signal } = context;
  const prepared = await preparedFor(context, loaded, volume.name);
  let before = POSTGRES_VOLUME;
  const { host } = await context.open();
  await applyServer(prepared.apply, {
    process: await thisProcess(env.sudoUser ?? env.user ?? 'unknown'),
    command: 'holdfast restore',
    waitSeconds: WAIT_FOR_APPLY,
    render: async (observed) => {
      before = observed.lock.postgresVolume ?? POSTGRES_VOLUME;
      return await prepared.render(observed);
    },
    interrupt: signal,
    configDigest: async () => loaded.digest,
    confirm: async () => true,
    keepRendered: prepared.keepRendered,
    verify: frontDoor(host, context).verify,
  });
  return { kept: engineName(loaded.config.project, before) };
}

function planText(
  { base, objects, bytes, missing, givenUpAt }: RestorePlan,
  target: RecoveryTarget,
): string {
  const past =
    givenUpAt === undefined
      ? []
      : [`That is of before the restore of ${givenUpAt}: the server comes back as it was then.`];
  const hole =
    missing === undefined
      ? []
      : [`The WAL has a gap: ${missing} is missing, what follows is lost.`];
  return [
    `To reach ${targetText(target)}: the base ${base} and its WAL, ${formatBytes(bytes)} in all.`,
    ...past,
    ...hole,
    ...objects,
    '',
  ].join('\n');
}

function restoredText(
  done: RestoredCluster,
  newBase: string | undefined,
  target: RecoveryTarget,
): string {
  const rows = done.cluster.databases.map(
    ({ name, tables, rows }) => `  ${name}: ${tables} tables, ${rows} rows`,
  );
  return [
    `Postgres runs on the cluster of ${targetText(target)}, restored from ${done.base} and checked in ${formatSpan(done.seconds)}.`,
    ...rows,
    ...done.cluster.unread.map((name) => `  ${name}: there, not read: its name is no UTF-8`),
    `Its last commit was at ${done.lastCommit ?? 'a time before the base backup'}.`,
    newBase === undefined
      ? 'The agent makes the new base backup.'
      : `The new timeline begins with the base backup ${newBase}.`,
    'The cluster that was live is kept; when you are sure:',
    `  docker volume rm ${done.kept}`,
    '',
  ].join('\n');
}

function usage(what: string): AppError {
  return new AppError({
    code: 'usage/restore-target',
    what,
    hint: 'holdfast restore --to "2026-11-20 14:03:00 Europe/Paris"',
  });
}
