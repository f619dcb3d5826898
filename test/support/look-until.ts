import { setTimeout as wait } from 'node:timers/promises';

const SHORTEST_REST = 100;
const LONGEST_REST = 3_000;

/**
 * Looks until there is a value. Rests twice as long as the look took, which may have started a program in a
 * container: who looks without a rest takes the processors from the very thing it waits for.
 * @param milliseconds after which a look without a value is the last
 * @param failure what is thrown then
 */
export async function lookUntil<T>(
  milliseconds: number,
  look: () => Promise<T | undefined>,
  failure: () => string,
): Promise<T> {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const lookedAt = performance.now();
    const value = await look();
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(failure());
    const rest = 2 * (performance.now() - lookedAt);
    await wait(Math.min(LONGEST_REST, Math.max(SHORTEST_REST, rest)));
  }
}
