import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerInspectInfo } from 'dockerode';
import { AppError } from '../errors.ts';
import { containerState, lastHealthOutput } from './container-state.ts';
import type { ContainerState, WaitHealthyOptions } from './engine.ts';

const POLL_MILLISECONDS = 250;

/** So many restarts since we look are a loop: it will not get better by itself. */
const RESTART_LOOP = 3;

/** A program that cannot work often ends soon after its start; without a health check only time tells. */
const STEADY_SECONDS = 2;

/** So long it has to run before an answer to us counts: what ends soon often answers well before. */
const FIRST_ANSWER_SECONDS = 5;

const LOG_LINES = 20;

/** The engine's own limit for a health check that names none. */
const CHECK_TIMEOUT_SECONDS = 30;
const NANOSECONDS = 1e9;

/** What waiting needs of the engine. */
export interface HealthView {
  /** Undefined when the container is gone. */
  readonly inspect: (container: string) => Promise<ContainerInspectInfo | undefined>;
  readonly logs: (container: string, tail: number) => Promise<string>;
  /** Whether the command ends well in the container, as its own health check would run it. */
  readonly succeeds: (
    container: string,
    argv: readonly [string, ...string[]],
    timeoutSeconds: number,
  ) => Promise<boolean>;
}

type Verdict =
  | { readonly kind: 'ready' }
  | { readonly kind: 'waiting'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

interface Watched {
  readonly container: string;
  readonly info: ContainerInspectInfo | undefined;
  readonly verdict: Verdict;
}

/** What was seen of a container since we look. */
interface History {
  readonly firstRestarts: number;
  /** Start of the present run, as the engine names it, and when we saw it first, by our clock. */
  startedAt: string;
  seenMilliseconds: number;
  /** When its health check may be run by us again. */
  nextCheckMilliseconds: number;
}

/**
 * See {@link import('./engine.ts').Engine.waitHealthy}. The engine runs the first health check only when an
 * interval has passed, so what is still starting is asked by us.
 */
export async function waitHealthy(
  view: HealthView,
  containers: readonly string[],
  { timeoutSeconds, engineJudges = false }: WaitHealthyOptions,
): Promise<void> {
  const deadline = performance.now() + timeoutSeconds * 1000;
  const histories = new Map<string, History>();
  for (;;) {
    const watched = await Promise.all(
      containers.map(async (container): Promise<Watched> => {
        const info = await view.inspect(container);
        if (info === undefined) {
          return { container, info, verdict: { kind: 'failed', reason: 'was removed' } };
        }
        const history = recall(histories, container, info);
        const isWell = !engineJudges && (await answersEarly(view, container, info, history));
        const verdict = isWell
          ? ({ kind: 'ready' } as const)
          : judge(containerState(info), history);
        return { container, info, verdict };
      }),
    );
    const sick = watched.filter(({ verdict }) => verdict.kind !== 'ready');
    if (sick.length === 0) return;
    const failed = sick.filter(({ verdict }) => verdict.kind === 'failed');
    if (failed.length > 0) throw await notHealthy(view, failed);
    if (performance.now() >= deadline) throw await notHealthy(view, sick, timeoutSeconds);
    await delay(POLL_MILLISECONDS);
  }
}

function recall(
  histories: Map<string, History>,
  container: string,
  { RestartCount, State: { StartedAt } }: ContainerInspectInfo,
): History {
  const now = performance.now();
  const known = histories.get(container);
  const history = known ?? {
    firstRestarts: RestartCount,
    startedAt: StartedAt,
    seenMilliseconds: now,
    nextCheckMilliseconds: now,
  };
  if (history.startedAt !== StartedAt) {
    history.startedAt = StartedAt;
    history.seenMilliseconds = now;
    history.nextCheckMilliseconds = now;
  }
  histories.set(container, history);
  return history;
}

async function answersEarly(
  view: HealthView,
  container: string,
  { State, Config }: ContainerInspectInfo,
  history: History,
): Promise<boolean> {
  if (State.Status !== 'running' || State.Health?.Status !== 'starting') return false;
  const argv = healthCommand(Config);
  const begun = performance.now();
  const upMilliseconds = Math.max(
    Date.now() - Date.parse(State.StartedAt),
    begun - history.seenMilliseconds,
  );
  if (argv === undefined || upMilliseconds < FIRST_ANSWER_SECONDS * 1000) return false;
  if (begun < history.nextCheckMilliseconds) return false;
  const timeout = Config.Healthcheck?.Timeout || CHECK_TIMEOUT_SECONDS * NANOSECONDS;
  const isWell = await view.succeeds(container, argv, timeout / NANOSECONDS);
  const after = isWell ? await view.inspect(container) : undefined;
  const ended = performance.now();
  // A program that takes long to start needs the processors more than we do.
  const pause = Math.max(2 * (ended - begun), (ended - history.seenMilliseconds) / 10);
  history.nextCheckMilliseconds = ended + pause;
  return after?.State.Status === 'running' && after.State.StartedAt === State.StartedAt;
}

/** As the engine reads it: `CMD` and its words, or `CMD-SHELL` and a text for the image's shell. */
function healthCommand({
  Healthcheck,
  Shell,
}: ContainerInspectInfo['Config'] & { readonly Shell?: readonly string[] }):
  | [string, ...string[]]
  | undefined {
  const [kind, first, ...rest] = Healthcheck?.Test ?? [];
  if (first === undefined) return undefined;
  if (kind === 'CMD') return [first, ...rest];
  if (kind !== 'CMD-SHELL') return undefined;
  const [shell = '/bin/sh', ...options] = Shell ?? ['/bin/sh', '-c'];
  return [shell, ...options, first];
}

function judge(state: ContainerState, history: History): Verdict {
  if (state.restartCount - history.firstRestarts >= RESTART_LOOP) {
    return { kind: 'failed', reason: `keeps restarting, ${exitOf(state)}` };
  }
  switch (state.status) {
    case 'running':
      if (state.health === 'healthy') return { kind: 'ready' };
      if (state.health !== 'none') {
        return { kind: 'waiting', reason: `is running but ${state.health}` };
      }
      return performance.now() - history.seenMilliseconds >= STEADY_SECONDS * 1000
        ? { kind: 'ready' }
        : { kind: 'waiting', reason: 'has only just started' };
    case 'exited':
    case 'dead':
      return { kind: 'failed', reason: `ended, ${exitOf(state)}` };
    case 'removing':
      return { kind: 'failed', reason: 'is being removed' };
    case 'restarting':
      return { kind: 'waiting', reason: `is restarting, ${exitOf(state)}` };
    default:
      return { kind: 'waiting', reason: `is ${state.status}` };
  }
}

function exitOf({ exitCode, oomKilled }: ContainerState): string {
  return `exit code ${exitCode}${oomKilled ? ', out of memory' : ''}`;
}

async function notHealthy(
  view: HealthView,
  sick: readonly Watched[],
  timeoutSeconds?: number,
): Promise<AppError> {
  const reports = await Promise.all(sick.map((one) => report(view, one)));
  const names = sick.map(({ container, info }) => info?.Name.replace(/^\//, '') ?? container);
  const first = sick[0]?.info;
  const service = first === undefined ? '' : containerState(first).service;
  const limit = timeoutSeconds === undefined ? '' : ` within ${timeoutSeconds} s`;
  return new AppError({
    code: 'health/not-healthy',
    what: `${names.join(', ')} did not become healthy${limit}`,
    why: reports.join('\n'),
    hint: service === '' ? '`holdfast status`' : `\`holdfast logs ${service}\` shows more lines`,
    details: { containers: names },
  });
}

async function report(view: HealthView, { container, info, verdict }: Watched): Promise<string> {
  const name = info?.Name.replace(/^\//, '') ?? container;
  const reason = verdict.kind === 'ready' ? '' : verdict.reason;
  if (info === undefined) return `${name} ${reason}`;
  const check = lastHealthOutput(info);
  const logs = (await view.logs(container, LOG_LINES)).trimEnd();
  return [
    `${name} ${reason}`,
    ...(check === '' ? [] : [`last health check: ${check}`]),
    ...(logs === '' ? ['it logged nothing'] : [`last log lines:\n${logs}`]),
  ].join('\n');
}
