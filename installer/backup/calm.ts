import { posix } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { type Child, startChild } from '../host/child.ts';
import { CommandError } from '../host/command-error.ts';
import type { Host } from '../host/host.ts';
import type { BackupSource } from '../model/backup-settings.ts';
import { LABELS } from '../model/labels.ts';
import type { BackupContext } from './context.ts';

type VolumeSource = Extract<BackupSource, { kind: 'volume' }>;
export type Calm = NonNullable<VolumeSource['calm']>;

/** What of a service is held still, so that a killed run can be undone. */
interface Journal {
  readonly version: 1;
  readonly volume: string;
  /** Ids. */
  readonly containers: readonly string[];
  readonly after?: readonly string[];
}

/** Seconds that one of these commands may take. */
const COMMAND_SECONDS = 300;
const PAUSE_ATTEMPTS = 5;
/** Milliseconds. */
const PAUSE_AGAIN = 500;

/** Seconds that a pause may last where the config does not say. */
const PAUSE_SECONDS = 60;
/** Milliseconds; a timer of more ends at once. */
const LONGEST_TIMER = 2 ** 31 - 1;
/** Seconds that the guardian leaves us to wake them at the limit. */
const GRACE_SECONDS = 5;
/** Seconds for a wake-up that the guardian tries, and how often it tries. */
const GUARDIAN_SECONDS = 60;
const GUARDIAN_TRIES = 5;

// Its input ends when we do, however we do: then it wakes the containers ($1) by `docker unpause` and the command after
// them. `done` means that it was done, `paused` that they have to be woken in $2 seconds, even if we hang. It outlives
// the signal that our children get.
const GUARDIAN = `trap '' TERM
read -r word
[ "$word" != paused ] || word=$(timeout --signal=KILL "$2" head -n 1)
[ "$word" != done ] || exit 0
containers=$1
shift 2
wake() {
  for try in $(seq ${GUARDIAN_TRIES}); do
    timeout --signal=KILL ${GUARDIAN_SECONDS} docker unpause "$1" && return
    paused=$(timeout --signal=KILL ${GUARDIAN_SECONDS} docker inspect --format '{{.State.Paused}}' "$1")
    [ "$paused" = false ] && return
    sleep 1
  done
}
for container in $containers; do
  wake "$container"
  [ $# -eq 0 ] || timeout --signal=KILL ${COMMAND_SECONDS} docker exec "$container" "$@"
done >/dev/null 2>&1`;

/** Somebody who is held still. */
export interface Held {
  /** @throws AppError `backup/not-awake` */
  readonly wake: () => Promise<void>;
  /** What was read meanwhile is of one moment. @throws AppError `backup/not-calm` when the pause reached its limit */
  readonly assertStill: () => void;
}

/**
 * Holds those still that write to a volume, as its config says: the command `before` in each of their containers, then
 * a pause, which ends at its limit whatever happens. A process of its own wakes them when this one is killed or hangs,
 * and the next run when that one was too.
 * @throws AppError `backup/not-calm`
 */
export async function calmDown(
  context: Pick<BackupContext, 'host' | 'engine' | 'paths' | 'settings'>,
  { volume, service, calm = {} }: VolumeSource,
  job: string,
): Promise<Held> {
  const { host, paths } = context;
  const containers = await writersTo(context, volume, service);
  if (containers.length === 0) {
    return { wake: async () => undefined, assertStill: () => undefined };
  }
  const { before, after, pause, pauseSeconds = PAUSE_SECONDS } = calm;
  const journal = { version: 1, volume, containers, ...(after === undefined ? {} : { after }) };
  const file = journalFile(paths, job);
  await host.write(file, `${JSON.stringify(journal)}\n`, { mode: 0o600, uid: 0, gid: 0 });
  const guardian = startChild({
    argv: [
      'sh',
      '-c',
      GUARDIAN,
      'sh',
      containers.join(' '),
      `${pauseSeconds + GRACE_SECONDS}`,
      ...(after ?? []),
    ],
  });
  guardian.stdin.on('error', () => undefined);
  guardian.stdout.resume();
  let waking: Promise<void> | undefined;
  let begin: number | undefined;
  let limit: NodeJS.Timeout | undefined;
  const wake = async (): Promise<void> => {
    clearTimeout(limit);
    waking ??= wakeUp(context, job).then(
      () => dismiss(guardian),
      async (error: unknown) => {
        await leaveItTo(guardian);
        throw error;
      },
    );
    await waking;
  };
  try {
    if (before !== undefined) for (const id of containers) await runIn(context, id, before);
    if (pause === true) {
      begin = performance.now();
      guardian.stdin.write('paused\n');
      for (const id of containers) await pauseContainer(host, id);
      // What fails in it is thrown to whoever wakes them next.
      const end = (): void => void wake().catch(() => undefined);
      limit = setTimeout(
        end,
        Math.max(0, Math.min(pauseSeconds * 1000 - (performance.now() - begin), LONGEST_TIMER)),
      );
    }
  } catch (error) {
    await wake();
    if (!(error instanceof CommandError)) throw error;
    throw new AppError({
      code: 'backup/not-calm',
      what: `${service} could not be held still for the backup of its volume`,
      why: error.message,
      hint: `correct \`backup\` at the volume of ${service}, holdfast apply, then \`holdfast backup run ${job}\``,
      cause: error,
    });
  }
  // By the clock: the guardian may have woken them while we hung.
  const assertStill = (): void => {
    if (begin === undefined || performance.now() - begin < pauseSeconds * 1000) return;
    throw new AppError({
      code: 'backup/not-calm',
      what: `${service} was paused for the backup of its volume for ${pauseSeconds} s, and its files were not read yet`,
      why: 'it was woken: what is read after that is not of one moment, so this backup does not count',
      hint: `a longer \`pauseLimit\` in \`backup\` at the volume of ${service}, or a \`before\` that flushes instead of the pause; holdfast apply, then \`holdfast backup run ${job}\``,
    });
  };
  return { wake, assertStill };
}

/** The kernel may need several goes at a container whose processes come and go: the engine gives up early. */
async function pauseContainer(host: Host, id: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await host.run({ argv: ['docker', 'pause', id] });
      return;
    } catch (error) {
      if (attempt === PAUSE_ATTEMPTS) throw error;
      await wait(PAUSE_AGAIN);
    }
  }
}

async function dismiss(guardian: Child): Promise<void> {
  guardian.stdin.end('done\n');
  await guardian.done.catch(() => undefined);
}

/** It tries what we could not: one that is awake already stays so. Our lock keeps the next run away meanwhile. */
async function leaveItTo(guardian: Child): Promise<void> {
  guardian.stdin.end();
  await guardian.done.catch(() => undefined);
}

/**
 * Wakes what a run of this job holds still, or a killed one of it left so. Nothing to do is the rule. The command
 * `after` may run twice. The caller holds the job's lock.
 * @throws AppError `backup/not-awake`; the next run tries again
 */
export async function wakeUp(
  context: Pick<BackupContext, 'host' | 'engine' | 'paths' | 'settings'>,
  job: string,
): Promise<void> {
  const { host, engine, paths, settings } = context;
  const file = journalFile(paths, job);
  const content = await host.read(file);
  if (content === undefined) return;
  const journal = JSON.parse(Buffer.from(content).toString('utf8')) as Journal;
  const { volume, containers } = journal;
  // As the config has it now: it may have been corrected since.
  const saved = settings.jobs.find(({ name }) => name === job)?.source;
  const after = saved?.kind === 'volume' ? saved.calm?.after : journal.after;
  const there = await engine.containers({ [LABELS.project]: settings.project });
  const failures: string[] = [];
  for (const id of containers) {
    // One that was replaced meanwhile starts awake.
    const state = there.find((one) => one.id === id);
    if (state === undefined) continue;
    try {
      if (state.status === 'paused') await host.run({ argv: ['docker', 'unpause', id] });
      const isRunning = state.status === 'paused' || state.status === 'running';
      if (after !== undefined && isRunning) await runIn(context, id, after);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      failures.push(`${state.name}: ${error.message}`);
    }
  }
  if (failures.length === 0) return await host.remove(file);
  throw new AppError({
    code: 'backup/not-awake',
    what: `what was held still for the backup of ${volume} may be so yet`,
    why: failures.join('\n'),
    hint: `holdfast status; then \`holdfast backup run ${job}\`, which tries again first`,
  });
}

/** Jobs whose last run may have left somebody still. */
export async function jobsLeftCalm({
  host,
  paths,
}: Pick<BackupContext, 'host' | 'paths'>): Promise<string[]> {
  const names = await host.list(posix.join(paths.agent, 'calm'));
  return names.flatMap((name) => (name.endsWith('.json') ? [name.slice(0, -5)] : []));
}

function journalFile(paths: BackupContext['paths'], job: string): string {
  return posix.join(paths.agent, 'calm', `${job}.json`);
}

async function runIn(
  { host }: Pick<BackupContext, 'host'>,
  container: string,
  command: readonly string[],
): Promise<void> {
  const argv = ['docker', 'exec', container, ...command] as const;
  await host.run({ argv, timeoutSeconds: COMMAND_SECONDS });
}

/** Ids of the running containers of a service that mount the volume. */
async function writersTo(
  { host, engine, settings }: Pick<BackupContext, 'host' | 'engine' | 'settings'>,
  volume: string,
  service: string,
): Promise<string[]> {
  const { stdout } = await host.run({
    argv: [
      ...(['docker', 'ps', '--no-trunc', '--format', '{{.ID}}'] as const),
      ...['--filter', `volume=${volume}`],
      ...['--filter', `label=${LABELS.project}=${settings.project}`],
    ],
  });
  const mounting = new Set(stdout.split('\n'));
  const containers = await engine.containers({ [LABELS.project]: settings.project });
  return containers
    .filter(({ id, service: of, labels }) => {
      return mounting.has(id) && (of === service || labels[LABELS.service] === service);
    })
    .map(({ id }) => id);
}
