import { EXIT_CODES } from '../../installer/errors.ts';
import type { AgentJob } from '../../installer/model/agent-settings.ts';
import { childProcess, fs } from '../builtins.ts';
import type { Clock } from '../clock.ts';
import { readTail } from '../files.ts';
import { type Log, reasonOf } from '../log.ts';
import type { History, RunReason, RunResult } from './history.ts';
import { ownResult } from './own-result.ts';
import { identify, isAlive, type ProcessIdentity, signalGroup } from './process-identity.ts';
import type { RunningFiles, RunningRecord } from './running.ts';

const SECOND = 1_000;
/** From the friendly signal to the other one. */
const KILL_AFTER = 30 * SECOND;
/** How often a run of a former agent is looked at: it is not our child, so nothing tells us. */
const LOOK_EVERY = SECOND;
const TAIL_BYTES = 4_096;

export interface RunEvents {
  started(record: RunningRecord): void;
  ended(record: RunningRecord, result: RunResult, tail: string): void;
}

export interface JobRunnerContext {
  readonly clock: Clock;
  readonly log: Log;
  /** What starts the holdfast program; the job's words follow. */
  readonly program: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  /** `paths.agent` */
  readonly folder: string;
  readonly running: RunningFiles;
  readonly history: History;
  readonly events: RunEvents;
}

/**
 * Runs jobs as child processes of their own group, one at a time for each job. Their output goes to a
 * file, so that they live on when the agent dies.
 */
export class JobRunner {
  readonly #context: JobRunnerContext;
  readonly #current = new Map<string, { record: RunningRecord; stopTimers: () => void }>();

  constructor(context: JobRunnerContext) {
    this.#context = context;
    fs.mkdirSync(`${context.folder}/logs`, { recursive: true, mode: 0o700 });
  }

  current(): RunningRecord[] {
    return [...this.#current.values()].map(({ record }) => record);
  }

  isRunning(job: string): boolean {
    return this.#current.has(job);
  }

  /** Whether it was started; a job that still runs is not started again. */
  start(job: AgentJob, reason: RunReason, slot?: number): boolean {
    const now = this.#context.clock.now();
    if (this.isRunning(job.id)) {
      this.#note({ job: job.id, reason, slot, startedAt: now }, 'skipped', {
        tail: 'the run before it has not ended',
      });
      return false;
    }
    const child = this.#spawn(job);
    const process = child.pid === undefined ? undefined : identify(child.pid);
    const record: RunningRecord = {
      job: job.id,
      argv: job.argv,
      process: process ?? { pid: child.pid ?? 0, startTime: '', bootId: '' },
      reason,
      ...(slot === undefined ? {} : { slot }),
      startedAt: now,
      timeoutSeconds: job.timeoutSeconds,
      ...(job.pingSecret === undefined ? {} : { pingSecret: job.pingSecret }),
      ...(job.quiet === undefined ? {} : { quiet: job.quiet }),
    };
    if (process !== undefined) {
      this.#orLog('the run cannot be noted', () => this.#context.running.write(record));
    }
    const watch = this.#watch(record);
    child.once('error', (error) => this.#end(record, 'failed', { tail: reasonOf(error) }));
    child.once('exit', (exitCode, signal) => {
      if (watch.timedOut()) this.#end(record, 'timeout', {});
      else if (exitCode === 0) this.#end(record, 'done', { exitCode });
      // Started because something is needed: somebody else is doing it already.
      else if (exitCode === EXIT_CODES.lock && reason === 'load')
        this.#end(record, 'skipped', { exitCode });
      else
        this.#end(
          record,
          'failed',
          exitCode === null ? { tail: `ended by ${signal}` } : { exitCode },
        );
    });
    if (job.quiet !== true) this.#context.log(`job ${job.id}: started (${reason})`);
    this.#context.events.started(record);
    return true;
  }

  /**
   * Takes over what a former agent started. Those that are gone are settled by the result that they left.
   * Answers with the runs that ended without any.
   */
  adopt(): RunningRecord[] {
    const lost: RunningRecord[] = [];
    for (const record of this.#context.running.all()) {
      if (isAlive(record.process)) {
        this.#context.log(`job ${record.job}: found running, from a former agent`);
        this.#watch(record);
        this.#look(record);
      } else if (this.#settle(record) === 'lost') {
        lost.push(record);
      }
    }
    return lost;
  }

  /** Leaves the runs alone: the next agent finds them. */
  abandon(): void {
    for (const { stopTimers } of this.#current.values()) stopTimers();
  }

  #spawn(job: AgentJob) {
    const output = this.#openLog(job.id);
    try {
      const [command, ...words] = this.#context.program;
      return childProcess.spawn(command, [...words, ...job.argv], {
        cwd: '/',
        env: { ...this.#context.environment },
        detached: true,
        stdio: ['ignore', output, output],
      });
    } finally {
      if (typeof output === 'number') fs.closeSync(output);
    }
  }

  /** Without a place for its output a job still runs: it may be the one that tells of the disk. */
  #openLog(job: string): number | 'ignore' {
    let file: number | 'ignore' = 'ignore';
    this.#orLog(`job ${job}: its output cannot be kept`, () => {
      file = fs.openSync(this.#logFile(job), 'w', 0o600);
    });
    return file;
  }

  /** Bounds a run in time: a friendly signal to its whole group, then the other one. */
  #watch(record: RunningRecord): { timedOut: () => boolean } {
    const { clock, log } = this.#context;
    let isOver = false;
    let cancelKill: () => void = () => undefined;
    const left = record.startedAt + record.timeoutSeconds * SECOND - clock.now();
    const cancel = clock.after(Math.max(left, 0), () => {
      isOver = true;
      log(`job ${record.job}: did not end within ${record.timeoutSeconds} s`);
      this.#signal(record.process, 'SIGTERM');
      cancelKill = clock.after(KILL_AFTER, () => this.#signal(record.process, 'SIGKILL'));
    });
    const stopTimers = (): void => {
      cancel();
      cancelKill();
    };
    this.#current.set(record.job, { record, stopTimers });
    return { timedOut: () => isOver };
  }

  #signal(identity: ProcessIdentity, signal: NodeJS.Signals): void {
    if (isAlive(identity)) signalGroup(identity.pid, signal);
  }

  #look(record: RunningRecord): void {
    this.#context.clock.after(LOOK_EVERY, () => {
      if (!this.#current.has(record.job)) return;
      if (isAlive(record.process)) this.#look(record);
      else this.#settle(record);
    });
  }

  /** For a run whose exit code went to a former agent. */
  #settle(record: RunningRecord): RunResult {
    const known = ownResult(this.#context.folder, record.argv, record.startedAt);
    const result = known === undefined ? 'lost' : known.ok ? 'done' : 'failed';
    this.#end(record, result, { ...(known?.ok === false ? { tail: known.what } : {}) });
    return result;
  }

  #end(
    record: RunningRecord,
    result: RunResult,
    details: { readonly exitCode?: number; readonly tail?: string },
  ): void {
    this.#current.get(record.job)?.stopTimers();
    this.#current.delete(record.job);
    const output = result === 'done' ? '' : readTail(this.#logFile(record.job), TAIL_BYTES).trim();
    const tail = [details.tail, output]
      .filter((text) => text !== undefined && text !== '')
      .join('\n');
    // `lost` only says that a former agent did not see its end.
    const isNews = record.quiet !== true || !['done', 'lost', 'skipped'].includes(result);
    if (isNews) this.#note(record, result, { ...details, ...(tail === '' ? {} : { tail }) });
    // Last: a kill before this line makes the next agent settle the run once more, never lose it.
    this.#orLog('the end of a run cannot be noted', () => this.#context.running.remove(record.job));
    if (isNews) this.#context.log(`job ${record.job}: ${result}`);
    this.#context.events.ended(record, result, tail);
  }

  #note(
    run: { job: string; reason: RunReason; slot?: number | undefined; startedAt: number },
    result: RunResult,
    details: { readonly exitCode?: number; readonly tail?: string },
  ): void {
    const record = {
      job: run.job,
      reason: run.reason,
      ...(run.slot === undefined ? {} : { slot: iso(run.slot) }),
      startedAt: iso(run.startedAt),
      finishedAt: iso(this.#context.clock.now()),
      result,
      ...details,
    };
    this.#orLog('the history cannot be written', () => this.#context.history.add(record));
  }

  /** A full disk must not end the agent: it is what tells of it. */
  #orLog(what: string, write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#context.log(`${what}: ${reasonOf(error)}`);
    }
  }

  #logFile(job: string): string {
    return `${this.#context.folder}/logs/${job}.log`;
  }
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
