import { setTimeout as wait } from 'node:timers/promises';
import type { BackupContext } from './context.ts';
import { ProductLoad } from './product-load.ts';

/** Share of all processors up to which the product does not feel a backup beside it. */
const EASY = 0.25;
/** What a backup leaves itself beside a product that takes them all: at half the speed while it works, that costs 6 %. */
const LEAST_SHARE = 1 / 8;
/** The product's share at which a backup works half of the time. */
const HALF = 0.5;

/** Milliseconds of work between two rests beside a product that takes all. */
const WORK = 60;
/** Milliseconds of work before the first look, and the longest between two looks at a product at ease. */
const FIRST_LOOK = 500;
const LATEST_LOOK = 8_000;
/** Milliseconds of a rest until what is under way has come to its end, and at least after that. */
const SETTLE = 40;
const LEAST_REST = 110;
const LONGEST_REST = 1_000;
/** Milliseconds: new containers are seen, and whether it may still rest. */
const LOOK_AROUND = 10_000;
/** Milliseconds of rests after which a backup is never done unless it hurries. */
const PATIENCE = 2 * 3_600_000;

export interface PaceInput {
  /** What the product takes; anew every ten seconds. */
  readonly load: () => Promise<Pick<ProductLoad, 'look' | 'isKnown'>>;
  /** Whether there is no time for rests any more. */
  readonly isPressed?: () => Promise<boolean>;
  /** Told once, when it first steps back. */
  readonly onBusy?: () => void;
  /** Milliseconds. */
  readonly clock?: {
    readonly now: () => number;
    readonly wait: (milliseconds: number) => Promise<unknown>;
  };
}

/**
 * Lets a backup work in spells, the shorter the busier the product is, since priority alone does not help: two
 * processors that share a core's caches and memory slow one another whoever goes first. The product is looked at in
 * the rests, when nothing that it takes is the backup's own.
 */
export class Pace {
  readonly #input: PaceInput;
  readonly #clock: NonNullable<PaceInput['clock']>;
  #load: Pick<ProductLoad, 'look' | 'isKnown'> | undefined;
  #lookedAround = Number.NEGATIVE_INFINITY;
  #workFor = FIRST_LOOK;
  #share = 1;
  #rested = 0;
  #isOver = false;

  constructor(input: PaceInput) {
    this.#input = input;
    this.#clock = input.clock ?? { now: () => performance.now(), wait: (ms) => wait(ms) };
  }

  static beside(
    context: Pick<BackupContext, 'engine' | 'settings' | 'report'>,
    isPressed?: PaceInput['isPressed'],
  ): Pace {
    return new Pace({
      load: () => ProductLoad.of(context),
      ...(isPressed === undefined ? {} : { isPressed }),
      onBusy: () => {
        const text = 'the product is busy: this takes longer, so that the product does not';
        context.report({ kind: 'notice', text });
      },
    });
  }

  /** The same chunks, with rests between them. */
  async *through<T>(chunks: AsyncIterable<T>): AsyncGenerator<T> {
    let since = this.#clock.now();
    for await (const chunk of chunks) {
      yield chunk;
      const worked = this.#clock.now() - since;
      if (this.#isOver || worked < this.#workFor) continue;
      await this.#rest(worked);
      since = this.#clock.now();
    }
  }

  async #rest(worked: number): Promise<void> {
    const began = this.#clock.now();
    await this.#clock.wait(SETTLE);
    const load = await this.#lookAround();
    if (load === undefined) return;
    load.look();
    const owed = worked * (1 / this.#share - 1) - (this.#clock.now() - began);
    await this.#clock.wait(Math.min(Math.max(owed, LEAST_REST), LONGEST_REST));
    const wasAtEase = this.#share === 1;
    this.#share = shareBeside(load.look());
    if (this.#share === 1) {
      this.#workFor = wasAtEase ? Math.min(this.#workFor * 2, LATEST_LOOK) : FIRST_LOOK;
      return;
    }
    if (this.#rested === 0) this.#input.onBusy?.();
    const [rest, share] = [SETTLE + LEAST_REST, this.#share];
    this.#workFor = Math.min(Math.max(WORK, (rest * share) / (1 - share)), LATEST_LOOK);
    this.#rested += this.#clock.now() - began;
    if (this.#rested > PATIENCE) this.#isOver = true;
  }

  /** Undefined when there are no more rests. */
  async #lookAround(): Promise<Pick<ProductLoad, 'look' | 'isKnown'> | undefined> {
    if (this.#load !== undefined && this.#clock.now() - this.#lookedAround < LOOK_AROUND) {
      return this.#load;
    }
    this.#lookedAround = this.#clock.now();
    this.#load = await this.#input.load();
    this.#isOver = !this.#load.isKnown || (await this.#input.isPressed?.()) === true;
    return this.#isOver ? undefined : this.#load;
  }
}

/** @param busy the product's share of all processors, 0 to 1 @returns of the time, 0 to 1 */
function shareBeside(busy: number): number {
  const share = 1 - ((busy - EASY) / (HALF - EASY)) * 0.5;
  return Math.min(1, Math.max(LEAST_SHARE, share));
}
