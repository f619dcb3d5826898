import { setTimeout as wait } from 'node:timers/promises';

const SHORTEST_MILLISECONDS = 100;
const LONGEST_MILLISECONDS = 3_000;

/**
 * Between two looks at what is waited for: twice as long as the look took, which may have started a program in a
 * container. Who looks without a rest takes the processors from the very thing it waits for.
 * @param lookedAt when the look began, by `performance.now()`
 */
export async function restAfterLook(lookedAt: number): Promise<void> {
  const rest = 2 * (performance.now() - lookedAt);
  await wait(Math.min(LONGEST_MILLISECONDS, Math.max(SHORTEST_MILLISECONDS, rest)));
}
