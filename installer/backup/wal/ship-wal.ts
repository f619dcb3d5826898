import { setTimeout as wait } from 'node:timers/promises';
import { AppError } from '../../errors.ts';
import type { WalStatus } from '../../model/wal-status.ts';
import type { BackupContext } from '../context.ts';
import { exclusively } from '../exclusive.ts';
import { isStoreError } from '../find-backups.ts';
import { prepareRecipients } from '../recovery-keys.ts';
import { livePostgres } from '../sources/open-source.ts';
import type { Store } from '../store/store.ts';
import { isTakenOver, refuseTakenOver } from '../take-over.ts';
import { jobLocks } from '../wait-for-backups.ts';
import { writerIdentity } from '../writer-id.ts';
import { atPlace } from './gaps.ts';
import { hasMoved, type Shipping, shipPass, waitingBytes } from './ship-pass.ts';
import { tendSlot } from './tend-slot.ts';
import { noPitr } from './wal-errors.ts';
import { walPrefix } from './wal-keys.ts';
import { readWalStatus, saveWalStatus } from './wal-status.ts';
import { withWrittenAgain } from './written-again.ts';

/** Held by whoever moves the receiver's files. */
const WAL_LOCK = 'wal';

export interface ShipOptions {
  /** Ends when nothing has moved for so long. */
  readonly lingerSeconds: number;
  /** Ends after so long in any case: a release that was put in place meanwhile goes on. */
  readonly longestSeconds: number;
  /** Between two passes while WAL is written. */
  readonly passSeconds: number;
  /** Between two looks at the slot. */
  readonly checkSeconds: number;
}

/** Most that is lost is what was written since the last pass and is on its way: a sixth of what may be lost. */
export function shipOptions(rpoSeconds: number): ShipOptions {
  return {
    lingerSeconds: 120,
    longestSeconds: 1_800,
    passSeconds: Math.min(10, Math.max(1, rpoSeconds / 6)),
    checkSeconds: 60,
  };
}

/** Longest pause after the store refused us, seconds. */
const LONGEST_PAUSE = 60;

/**
 * Takes WAL to the store for as long as there is some, then ends: the agent starts it again when something moves.
 * A store that is away is tried again and again; Postgres never waits for any of it.
 * @throws AppError `backup/no-pitr`, `lock/held`; whatever is no failure of the store or of Postgres
 */
export async function shipWal(context: BackupContext, options: ShipOptions): Promise<WalStatus> {
  const { host, paths, settings } = context;
  const { pitr } = settings;
  if (pitr === undefined) throw noPitr();
  return await exclusively(host, jobLocks(paths), WAL_LOCK, async () => {
    const store = await context.openStore(pitr.store);
    try {
      const recipients =
        settings.encryption === 'age'
          ? await prepareRecipients(host, paths, settings.recipients)
          : undefined;
      const writerId = (await writerIdentity(host, paths)).id;
      return await new Shipper(context, store, writerId, recipients?.file, options).run();
    } finally {
      store.close();
    }
  });
}

class Shipper {
  readonly #context: BackupContext;
  readonly #store: Store;
  readonly #writerId: string;
  readonly #recipientsFile: string | undefined;
  readonly #options: ShipOptions;
  #status: WalStatus | undefined;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #allowedAt = Number.NEGATIVE_INFINITY;
  #pause = 0;
  #hasCompared = false;

  constructor(
    context: BackupContext,
    store: Store,
    writerId: string,
    recipientsFile: string | undefined,
    options: ShipOptions,
  ) {
    this.#context = context;
    this.#store = store;
    this.#writerId = writerId;
    this.#recipientsFile = recipientsFile;
    this.#options = options;
  }

  async run(): Promise<WalStatus> {
    const { host, paths, signal, settings } = this.#context;
    const { lingerSeconds, longestSeconds, passSeconds } = this.#options;
    const before = await readWalStatus(host, paths);
    this.#status = before === undefined ? undefined : this.#atPlace(before);
    const begun = seconds();
    let movedAt = begun;
    for (;;) {
      // Before the slot is looked at: a new chain clears away what is left of the old one.
      const isStored = await this.#pass();
      if (isStored) await this.#tend();
      const status = this.#status;
      const folder = settings.pitr?.folder ?? '';
      if (!isStored || (status !== undefined && (await hasMoved(folder, status)))) {
        movedAt = seconds();
      }
      const isOver =
        seconds() - movedAt >= lingerSeconds ||
        seconds() - begun >= longestSeconds ||
        signal?.aborted === true;
      if (isOver && status !== undefined) return status;
      const pause = (this.#pause || passSeconds) * 1_000;
      // A stop ends the pause; the loop sees it then.
      await wait(pause, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    }
  }

  #atPlace(status: WalStatus): WalStatus {
    const { settings, now } = this.#context;
    const prefix = walPrefix(settings, status.systemIdentifier);
    return atPlace(status, `${this.#store.description} ${prefix}`, now());
  }

  /** Whether everything that was there lies in the store. */
  async #pass(): Promise<boolean> {
    const status = this.#status;
    const { pitr } = this.#context.settings;
    if (status === undefined || pitr === undefined) return true;
    if (!(await hasMoved(pitr.folder, status)) && status.failure === undefined) return true;
    const shipping: Shipping = {
      context: this.#context,
      pitr,
      store: this.#store,
      recipientsFile: this.#recipientsFile,
      segmentBytes: status.segmentBytes,
      systemIdentifier: status.systemIdentifier,
    };
    try {
      await this.#refuseTakenOver();
      this.#status = await this.#compared(status, await shipPass(shipping, status));
      this.#pause = 0;
      return true;
    } catch (error) {
      if (!isStoreError(error) && !isDamage(error) && !isTakenOver(error)) throw error;
      await this.#failed(shipping, error);
      return false;
    }
  }

  /** Once a run: the first segment that is finished after the machine went back tells, and a request for each is too many. */
  async #compared(before: WalStatus, shipped: WalStatus): Promise<WalStatus> {
    if (this.#hasCompared || shipped.shippedThrough === before.shippedThrough) return shipped;
    const { host, paths, settings, now } = this.#context;
    const compared = await withWrittenAgain(this.#store, settings, shipped, now());
    if (compared !== shipped) await saveWalStatus(host, paths, compared);
    this.#hasCompared = true;
    return compared;
  }

  async #refuseTakenOver(): Promise<void> {
    if (seconds() - this.#allowedAt < this.#options.checkSeconds) return;
    await refuseTakenOver(this.#store, this.#context.settings, this.#writerId);
    this.#allowedAt = seconds();
  }

  async #failed(shipping: Shipping, error: AppError): Promise<void> {
    const { host, paths, report, now } = this.#context;
    report({ kind: 'warning', code: error.code, text: error.message });
    this.#pause = Math.min(LONGEST_PAUSE, Math.max(this.#options.passSeconds, this.#pause * 2));
    // What did reach the store before the failure was noted there.
    const status = await readWalStatus(host, paths);
    if (status === undefined) return;
    const since = status.failure?.since ?? now().toISOString();
    this.#status = {
      ...status,
      waitingBytes: await waitingBytes(shipping, status),
      failure: { code: error.code, what: error.message, since },
    };
    await saveWalStatus(host, paths, this.#status);
  }

  async #tend(): Promise<void> {
    if (seconds() - this.#checkedAt < this.#options.checkSeconds) return;
    const { host, paths, report } = this.#context;
    try {
      const server = await livePostgres(this.#context, 'holdfast-wal');
      this.#status = await tendSlot(this.#context, server, this.#status);
      await saveWalStatus(host, paths, this.#status);
      this.#checkedAt = seconds();
    } catch (error) {
      // While it is down it writes no WAL, and its own alarm tells of it.
      const isDown = error instanceof AppError && error.code === 'backup/postgres-down';
      if (!isDown || this.#status === undefined) throw error;
      report({ kind: 'warning', code: error.code, text: error.message });
    }
  }
}

function isDamage(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'backup/damaged';
}

function seconds(): number {
  return performance.now() / 1_000;
}
