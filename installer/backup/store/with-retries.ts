import { setTimeout as wait } from 'node:timers/promises';
import { mayPass, storeError } from './s3-errors.ts';

export interface Attempts {
  /** Waits before the second, third, … try, milliseconds. */
  readonly retryWaits: readonly number[];
  /** A try that takes longer is given up, seconds. */
  readonly timeoutSeconds: number;
}

/**
 * Tries a request until it succeeds, fails for good, or has had all its tries.
 * @throws AppError of class `store`
 */
export async function withRetries<T>(
  what: string,
  { retryWaits, timeoutSeconds }: Attempts,
  request: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await request(AbortSignal.timeout(Math.ceil(timeoutSeconds * 1000)));
    } catch (error) {
      const pause = retryWaits[attempt];
      if (pause === undefined || !mayPass(error)) {
        throw storeError(error, attempt === 0 ? what : `${what}, tried ${attempt + 1} times`);
      }
      // Jitter, so that several parts do not come back together.
      await wait(pause * (0.75 + Math.random() / 2));
    }
  }
}
