import type { Clock } from './clock.ts';

const EVERY = 30_000;

type Collect = (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;

/**
 * Returns memory that is free but kept for later to the system: 1 MB of some 48, for a few milliseconds each
 * time. Node offers it with `--expose-gc` only; without that flag nothing happens.
 */
export function giveBackMemory(clock: Clock): void {
  const collect = (globalThis as { gc?: Collect }).gc;
  if (collect === undefined) return;
  const round = (): void => {
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    clock.after(EVERY, round);
  };
  clock.after(EVERY / 6, round);
}
