import type { Standing } from './standing.ts';

export interface Candidate {
  readonly id: string;
  readonly standing: Standing;
  /** Whether nginx sends requests to it now. */
  readonly isServing: boolean;
}

/**
 * The replicas of one service that nginx shall send requests to. Never none of them: when nobody is trusted,
 * those serve that answered last, and when nobody answers, those that served so far.
 */
export function whoServes(candidates: readonly Candidate[]): ReadonlySet<string> {
  const choices = [
    candidates.filter(({ standing }) => standing.verdict === 'trusted'),
    candidates.filter(({ standing }) => standing.successes > 0),
    candidates.filter(({ standing, isServing }) => isServing && !standing.stopped),
    candidates.filter(({ standing }) => !standing.stopped),
    candidates.filter(({ isServing }) => isServing),
    candidates,
  ];
  const chosen = choices.find((choice) => choice.length > 0) ?? [];
  return new Set(chosen.map(({ id }) => id));
}
