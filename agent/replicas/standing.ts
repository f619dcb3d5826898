/** What one question to a replica brought. */
export interface Outcome {
  readonly ok: boolean;
  /** Why not, without a secret; empty when ok. */
  readonly why: string;
}

/** What is held of a replica after all questions so far. Times in milliseconds since the epoch. */
export interface Standing {
  readonly verdict: 'trusted' | 'sick';
  /** Sick because the engine says that it does not run: no answer has to be waited for. */
  readonly stopped: boolean;
  /** In a row. */
  readonly successes: number;
  /** In a row. */
  readonly failures: number;
  /** Of the newest failure of this row; empty after a success. */
  readonly why: string;
  /** When the verdict became what it is. */
  readonly since: number;
  /** When it last came back; absent when it never was sick. */
  readonly returnedAt?: number;
  /** How often it fell sick again soon after it had come back. */
  readonly relapses: number;
}

export interface HealthRule {
  /** Successes in a row after which a sick replica is trusted. */
  readonly healthy: number;
  /** Failures in a row after which a trusted replica is sick. */
  readonly unhealthy: number;
}

/** Who falls sick within this time after coming back has relapsed. */
const RELAPSE_MILLISECONDS = 10 * 60_000;
/** Each relapse doubles the successes that are needed, up to this many times. */
const MOST_DOUBLINGS = 4;

/** A replica that nobody has asked yet: whoever started it has seen it healthy. */
export function newcomer(now: number): Standing {
  return {
    verdict: 'trusted',
    stopped: false,
    successes: 0,
    failures: 0,
    why: '',
    since: now,
    relapses: 0,
  };
}

/** A replica that was sick when a former agent ended. */
export function knownSick(now: number, why: string): Standing {
  return { ...newcomer(now), verdict: 'sick', why };
}

/** Successes in a row that a sick replica needs: more of them the more often it has relapsed. */
export function neededSuccesses({ relapses }: Standing, { healthy }: HealthRule): number {
  return healthy * 2 ** Math.min(relapses, MOST_DOUBLINGS);
}

/** The standing after one more answer. */
export function judged(
  standing: Standing,
  { ok, why }: Outcome,
  rule: HealthRule,
  now: number,
): Standing {
  const next: Standing = {
    ...standing,
    stopped: false,
    successes: ok ? standing.successes + 1 : 0,
    failures: ok ? 0 : standing.failures + 1,
    why: ok ? '' : why,
  };
  if (standing.verdict === 'trusted') {
    return next.failures >= rule.unhealthy ? fallenSick(next, now) : next;
  }
  return next.successes >= neededSuccesses(standing, rule)
    ? { ...next, verdict: 'trusted', since: now, returnedAt: now }
    : next;
}

/** The standing when the engine says that the container does not run. */
export function stopped(standing: Standing, why: string, now: number): Standing {
  const next: Standing = { ...standing, stopped: true, successes: 0, failures: 0, why };
  return standing.verdict === 'sick' ? next : fallenSick(next, now);
}

function fallenSick(standing: Standing, now: number): Standing {
  const { returnedAt, relapses } = standing;
  const isRelapse = returnedAt !== undefined && now - returnedAt < RELAPSE_MILLISECONDS;
  return { ...standing, verdict: 'sick', since: now, relapses: isRelapse ? relapses + 1 : 0 };
}
