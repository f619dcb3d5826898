/** Time as the agent sees it; the tests bring their own. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Runs once after so many milliseconds; the answer takes it back. */
  after(milliseconds: number, run: () => void): () => void;
}

/** What `setTimeout` can wait for; a longer wait becomes several. */
const LONGEST_WAIT = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, run) {
    let timer: NodeJS.Timeout;
    const wait = (left: number): void => {
      const step = Math.min(Math.max(left, 0), LONGEST_WAIT);
      timer = setTimeout(() => (left > step ? wait(left - step) : run()), step);
    };
    wait(milliseconds);
    return () => clearTimeout(timer);
  },
};
