import type { AgentJob, AgentSettings } from '../installer/model/agent-settings.ts';
import { type BackupResult, RESULTS_FOLDER } from '../installer/model/backup-result.ts';
import { isWalFile, wasWritten } from '../installer/model/wal-files.ts';
import { WAL_RESULT, type WalStatus } from '../installer/model/wal-status.ts';
import { fs } from './builtins.ts';
import type { Clock } from './clock.ts';
import { isMissing, readJson } from './files.ts';
import { gauge, type Metric, type Sample } from './metrics/text-format.ts';

const SECOND = 1_000;
/** Between two looks at the folder: a listing, and one `stat` for each of its few files. */
const LOOK_EVERY = 2 * SECOND;
/** The slot is looked at so often also when nothing moves, and a run that failed is repeated after a while. */
const CHECK_EVERY = 10 * 60 * SECOND;
const RETRY_AFTER = 30 * SECOND;

type WalSettings = NonNullable<AgentSettings['wal']>;

export interface WalWatchContext {
  readonly clock: Clock;
  /** `paths.agent` */
  readonly folder: string;
  readonly startJob: (job: AgentJob) => void;
  /** A backup job by its id. */
  readonly startBackup: (id: string) => void;
  readonly isRunning: (id: string) => boolean;
}

/**
 * Starts the shipping of WAL when the receiver has written some, and a base backup when the WAL leads no further
 * than a gap. The work is done by children: this process only looks at times of files.
 */
export class WalWatch {
  readonly #context: WalWatchContext;
  #settings: WalSettings | undefined;
  #status: { readonly mtimeMs: number; readonly status: WalStatus | undefined } | undefined;
  #cancel: () => void = () => undefined;
  #shipStarted = Number.NEGATIVE_INFINITY;
  #baseStarted = Number.NEGATIVE_INFINITY;
  /** The break of the WAL that it was started for. */
  #baseStartedFor: string | undefined;
  /** Until then everything that was received lies in the store; milliseconds since the epoch. */
  #archivedUntil: number | undefined;

  constructor(context: WalWatchContext) {
    this.#context = context;
  }

  set(settings: WalSettings | undefined): void {
    this.#settings = settings;
    this.#cancel();
    if (settings !== undefined) this.#look();
  }

  stop(): void {
    this.#cancel();
  }

  #look(): void {
    this.#cancel = this.#context.clock.after(LOOK_EVERY, () => this.#look());
    const settings = this.#settings;
    if (settings === undefined) return;
    const now = this.#context.clock.now();
    const status = this.#readStatus();
    const moved = hasMoved(settings.folder, status);
    if (status !== undefined && !moved) this.#archivedUntil = now;
    else this.#archivedUntil = Math.min(now, this.#archivedUntil ?? waitingSince(status) ?? now);
    this.#ship(settings.ship, moved || status === undefined, now);
    this.#base(settings.baseJob, status, now);
  }

  #ship(job: AgentJob, isNeeded: boolean, now: number): void {
    const pause = isNeeded ? RETRY_AFTER : CHECK_EVERY;
    if (this.#context.isRunning(job.id) || isWithin(now, this.#shipStarted, pause)) return;
    this.#shipStarted = now;
    this.#context.startJob(job);
  }

  #base(job: string, status: WalStatus | undefined, now: number): void {
    if (!this.#needsBase(job, status, now) || this.#context.isRunning(job)) return;
    // The pause is for a base that fails again and again; another break of the WAL has not been tried yet.
    const need = status?.baseNeededSince;
    if (need === this.#baseStartedFor && isWithin(now, this.#baseStarted, CHECK_EVERY)) return;
    this.#baseStarted = now;
    this.#baseStartedFor = need;
    this.#context.startBackup(job);
  }

  /** Until one was begun after the WAL broke off; what a clock that was ahead says of either counts for nothing. */
  #needsBase(job: string, status: WalStatus | undefined, now: number): boolean {
    const need = status?.baseNeededSince;
    if (need === undefined) return false;
    const isAhead = Date.parse(need) > now + SECOND;
    const since = isAhead && need === this.#baseStartedFor ? this.#baseStarted : Date.parse(need);
    const name = job.replace(/^backup-/, '');
    const path = `${this.#context.folder}/${RESULTS_FOLDER}/${name}.json`;
    const id = readJson<BackupResult>(path)?.lastSuccess?.id;
    const begun = id === undefined ? Number.NEGATIVE_INFINITY : begunAt(id) * SECOND;
    return begun < Math.floor(since / SECOND) * SECOND || begun > now + SECOND;
  }

  #readStatus(): WalStatus | undefined {
    const path = `${this.#context.folder}/${RESULTS_FOLDER}/${WAL_RESULT}`;
    const mtimeMs = mtimeOf(path);
    if (mtimeMs === undefined) return undefined;
    if (this.#status?.mtimeMs !== mtimeMs) {
      this.#status = { mtimeMs, status: readJson<WalStatus>(path) };
    }
    return this.#status.status;
  }

  metrics(): Metric[] {
    const settings = this.#settings;
    if (settings === undefined) return [];
    const status = this.#readStatus();
    const lastGap = status?.gaps.at(-1)?.noticedAt;
    const one = (value: number | undefined): Sample[] => (value === undefined ? [] : [{ value }]);
    return [
      gauge(
        'holdfast_wal_last_archived_timestamp_seconds',
        'Until then all WAL that was received lies in the store.',
        one(this.#archivedUntil === undefined ? undefined : this.#archivedUntil / SECOND),
      ),
      gauge(
        'holdfast_wal_waiting_bytes',
        'Finished WAL that waits for the store.',
        one(status?.waitingBytes),
      ),
      gauge(
        'holdfast_wal_base_needed',
        'Whether no base backup was made since the WAL broke off.',
        one(Number(this.#needsBase(settings.baseJob, status, this.#context.clock.now()))),
      ),
      gauge(
        'holdfast_wal_last_gap_timestamp_seconds',
        'When WAL was last found to be lost.',
        one(lastGap === undefined ? undefined : Date.parse(lastGap) / SECOND),
      ),
    ];
  }
}

/** What waits for a store that is away goes on doing so when the agent is started anew. */
function waitingSince(status: WalStatus | undefined): number | undefined {
  const since = status?.failure?.since;
  return since === undefined ? undefined : Date.parse(since);
}

/** Not for an instant of the future, as after a clock that was put back: it must not stop anything for longer. */
function isWithin(now: number, since: number, pause: number): boolean {
  return now >= since && now - since < pause;
}

/** Seconds since the epoch, from the id of a backup: `20261121T020000Z-3f9a1c`. */
function begunAt(id: string): number {
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/.exec(id) ?? [];
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second) / SECOND;
}

/** Whether the receiver wrote anything since all lay in the store. */
function hasMoved(folder: string, status: WalStatus | undefined): boolean {
  try {
    return fs.readdirSync(folder).some((name) => {
      const mtimeMs = isWalFile(name) ? mtimeOf(`${folder}/${name}`) : undefined;
      return mtimeMs !== undefined && wasWritten(name, mtimeMs, status?.shippedFiles);
    });
  } catch (error) {
    if (!isMissing(error)) throw error;
    return false;
  }
}

function mtimeOf(path: string): number | undefined {
  return fs.statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}
