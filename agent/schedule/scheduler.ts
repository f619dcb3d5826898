import type { DailyWindow, ScheduledJob } from '../../installer/model/agent-settings.ts';
import type { ZoneOffset } from '../../installer/model/wall-clock.ts';
import type { Clock } from '../clock.ts';
import { type Log, reasonOf } from '../log.ts';
import { isOpen, nextOpening, openedAt, windowMinutes } from './daily-window.ts';
import { jitterOf } from './jitter.ts';
import { latestSlot, nextSlot, type Schedule } from './slots.ts';

const MINUTE = 60_000;
/** A start that comes later than this was missed: the machine slept or was off. */
const LATE_AFTER = 10 * MINUTE;
/** A clock that was put back by more was wrong before; by less, the runs are simply not repeated. */
const CLOCK_WAS_WRONG = 3 * 60 * MINUTE;

/** What has to outlive a restart: the last slot of each job that was dealt with. */
export interface ScheduleMemory {
  readonly cron: string;
  readonly timezone: string;
  /** Milliseconds since the epoch. */
  readonly handled: number;
}

export interface MemoryStore {
  get(job: string): ScheduleMemory | undefined;
  set(job: string, memory: ScheduleMemory): void;
}

export interface SchedulerActions {
  /** Must have noted the run on disk when it returns. */
  start(job: ScheduledJob, slot: number, reason: 'schedule' | 'catch-up'): void;
  missed(job: ScheduledJob, slot: number): void;
}

export interface SchedulerContext {
  readonly clock: Clock;
  readonly offset: ZoneOffset;
  /** Any text that is this host's own. */
  readonly host: string;
  readonly memory: MemoryStore;
  readonly actions: SchedulerActions;
  readonly log: Log;
}

/** Decides each minute which jobs start. One slot is one start, whatever happens to the clock. */
export class Scheduler {
  readonly #context: SchedulerContext;
  #jobs: readonly ScheduledJob[] = [];
  #timezone = 'UTC';
  /** Up to where each job was found to have no slot since the last one: not searched again. */
  readonly #seen = new Map<string, number>();
  #cancel: () => void = () => undefined;

  constructor(context: SchedulerContext) {
    this.#context = context;
  }

  setJobs(jobs: readonly ScheduledJob[], timezone: string): void {
    this.#jobs = jobs;
    this.#timezone = timezone;
    this.#seen.clear();
  }

  /** Ticks now and at the start of each minute. */
  run(): void {
    const { clock } = this.#context;
    const step = (): void => {
      this.tick();
      this.#cancel = clock.after(MINUTE - (clock.now() % MINUTE) + 10, step);
    };
    step();
  }

  stop(): void {
    this.#cancel();
  }

  tick(): void {
    for (const job of this.#jobs) {
      try {
        this.#consider(job);
      } catch (error) {
        // Such as a full disk: the other jobs, and the next minute, still have their turn.
        this.#context.log(`job ${job.id} cannot be scheduled: ${reasonOf(error)}`);
      }
    }
  }

  /** When the job starts next by its schedule; undefined when never. */
  nextStart(job: ScheduledJob): number | undefined {
    const jitter = this.#jitter(job);
    const slot = nextSlot(this.#schedule(job), this.#context.clock.now() - jitter);
    if (slot === undefined) return undefined;
    const { window } = job;
    const { offset } = this.#context;
    if (window === undefined || isOpen(window, slot, offset)) return slot + jitter;
    return nextOpening(window, slot, offset) + this.#jitterWithin(window, job);
  }

  /** Whether it is the time of day for the job. */
  mayStart({ window }: ScheduledJob): boolean {
    const { clock, offset } = this.#context;
    return window === undefined || isOpen(window, clock.now(), offset);
  }

  /** The run of this slot came to nothing: it is due again as soon as it may start. */
  owe(job: ScheduledJob, slot: number): void {
    this.#remember(job, slot - MINUTE);
    this.#seen.delete(job.id);
  }

  #consider(job: ScheduledJob): void {
    const { clock, memory, actions, log } = this.#context;
    const now = clock.now();
    const handled = this.#handled(job, now);
    if (handled > now) {
      if (handled - now < CLOCK_WAS_WRONG) return;
      log(`the clock went back: ${job.id} goes by the new time`);
      this.#remember(job, now);
      return;
    }
    const jitter = this.#jitter(job);
    const upTo = now - jitter;
    const seen = this.#seen.get(job.id) ?? 0;
    const slot = latestSlot(
      this.#schedule(job),
      seen <= upTo ? Math.max(handled, seen) : handled,
      upTo,
    );
    if (slot === undefined) {
      this.#seen.set(job.id, upTo);
      return;
    }
    const due = this.#due(job, slot, now);
    if (due === undefined) return;
    const late = now - due;
    const isMissed = late > (job.lateAfterSeconds ?? LATE_AFTER / 1000) * 1000;
    if (isMissed && !job.catchUp) actions.missed(job, slot);
    else actions.start(job, slot, late > LATE_AFTER ? 'catch-up' : 'schedule');
    memory.set(job.id, { cron: job.cron, timezone: this.#timezone, handled: slot });
  }

  /** Since when a slot that has come may start its job; undefined while it has to wait for its window. */
  #due(job: ScheduledJob, slot: number, now: number): number | undefined {
    const { window } = job;
    const { offset } = this.#context;
    const due = slot + this.#jitter(job);
    if (window === undefined) return due;
    // The jitter may lead past the end of the window.
    if (isOpen(window, slot, offset) && now - due <= LATE_AFTER) return due;
    if (!isOpen(window, now, offset)) return undefined;
    const opened = openedAt(window, now, offset) + this.#jitterWithin(window, job);
    return now < opened ? undefined : Math.max(due, opened);
  }

  /** A job that is new, or has a new schedule, owes nothing for the past. */
  #handled(job: ScheduledJob, now: number): number {
    const known = this.#context.memory.get(job.id);
    if (known?.cron === job.cron && known.timezone === this.#timezone) return known.handled;
    this.#remember(job, now);
    return now;
  }

  #remember(job: ScheduledJob, handled: number): void {
    this.#context.memory.set(job.id, { cron: job.cron, timezone: this.#timezone, handled });
  }

  #schedule({ times, firstWeekOnly }: ScheduledJob): Schedule {
    const offset = this.#context.offset;
    return { times, offset, ...(firstWeekOnly === undefined ? {} : { firstWeekOnly }) };
  }

  /** Jobs that waited for a window do not all start in its first minute, and none after its end. */
  #jitterWithin(window: DailyWindow, job: ScheduledJob): number {
    return Math.min(this.#jitter(job), (windowMinutes(window) - 1) * MINUTE);
  }

  #jitter({ id, jitterSeconds }: ScheduledJob): number {
    return jitterOf(this.#context.host, id, jitterSeconds);
  }
}
