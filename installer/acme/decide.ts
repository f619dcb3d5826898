import { createHash } from 'node:crypto';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Renewed when this share of its life is left, whatever the lifetime. */
const RENEW_SHARE = 1 / 3;
/** Later by up to this share of its life, so that servers made together do not renew together. */
const JITTER_SHARE = 1 / 20;
/** Below this share the hourly look takes part. */
const URGENT_SHARE = 1 / 4;
/** Let's Encrypt takes five failed proofs an hour and host, and five certificates of the same names a week. */
const ATTEMPTS_PER_HOUR = 4;
const MOST_ISSUED = 4;
const WEEK = 7 * DAY;
const LONGEST_WAIT = DAY;
/** Of its life: eight attempts fit into the third that is left. */
const LONGEST_WAIT_SHARE = 1 / 24;

/** Times, milliseconds since the epoch. */
export interface Validity {
  readonly from: number;
  readonly until: number;
}

/** What is remembered of a certificate between runs; times are milliseconds since the epoch. */
export interface AttemptRecord {
  /** Attempts in a row that the authority saw fail. */
  readonly failures: number;
  /** Starts of attempts that reached the authority. */
  readonly attempts: readonly number[];
  readonly issued: readonly number[];
  /** The authority asked to wait until then. */
  readonly retryAt?: number;
  /** What the authority last said about when to renew. */
  readonly advice?: RenewalAdvice;
  /** The last run did not end well, whoever was to blame. */
  readonly problem?: Problem;
}

export interface RenewalAdvice {
  /** Of the certificate that it is about. */
  readonly serial: string;
  readonly window?: Validity;
  /** Not asked again before. */
  readonly checkAt: number;
}

export interface Problem {
  readonly code: string;
  readonly what: string;
  readonly why?: string;
  readonly hint: string;
  readonly at: number;
}

export const NO_RECORD: AttemptRecord = { failures: 0, attempts: [], issued: [] };

export type Decision =
  | { readonly act: 'issue'; readonly reason: 'missing' | 'misfit' | 'renewal' }
  | { readonly act: 'wait'; readonly until: number; readonly why: 'backoff' | 'asked' | 'limit' }
  | { readonly act: 'none'; readonly dueAt: number };

export interface DecideInput {
  readonly now: number;
  /** From 0 to 1; the same for a certificate at every look. */
  readonly fraction: number;
  /** What is there and is of the wanted authority; absent when nothing is. */
  readonly validity: Validity | undefined;
  /** When the authority of this certificate wants it renewed; it knows better than we do. */
  readonly suggested?: Validity | undefined;
  /** Whether it has all names that it shall have, from the authority of the config. */
  readonly fits: boolean;
  readonly record: AttemptRecord;
  /** The hourly look: leaves ordinary renewals to the hour of the config. */
  readonly urgentOnly: boolean;
  /** A person asks: the pause after a failure does not count, the authority's limits do. */
  readonly force: boolean;
}

/** Whether to ask the authority for a certificate now. Pure. */
export function decide(input: DecideInput): Decision {
  const { now, validity, fits, record, fraction, suggested } = input;
  const reason = reasonToIssue(input);
  if (reason === undefined) {
    const dueAt = validity === undefined ? now : renewalTime(validity, fraction, suggested);
    return { act: 'none', dueAt };
  }
  const isCalm = fits && validity !== undefined && record.problem === undefined;
  // A window that is over already means that the certificate will be taken back.
  const isLate = suggested !== undefined && now >= suggested.until;
  if (input.urgentOnly && isCalm && !isLate && now < urgentTime(validity)) {
    return { act: 'none', dueAt: renewalTime(validity, fraction, suggested) };
  }
  return pauseOf(input) ?? { act: 'issue', reason };
}

function reasonToIssue({ now, validity, fits, fraction, suggested }: DecideInput) {
  if (validity === undefined) return 'missing';
  if (!fits) return 'misfit';
  return now >= renewalTime(validity, fraction, suggested) ? 'renewal' : undefined;
}

/**
 * When a certificate becomes due: somewhere in the window that its authority suggests, but not so late that a
 * failure would be dangerous; without one, never before a third of its life is left.
 */
export function renewalTime(
  { from, until }: Validity,
  fraction: number,
  suggested?: Validity,
): number {
  if (suggested !== undefined) {
    const chosen = suggested.from + (suggested.until - suggested.from) * fraction;
    return Math.min(chosen, urgentTime({ from, until }));
  }
  const life = until - from;
  return until - life * RENEW_SHARE + life * JITTER_SHARE * fraction;
}

function urgentTime({ from, until }: Validity): number {
  return until - (until - from) * URGENT_SHARE;
}

function pauseOf(input: DecideInput): Decision | undefined {
  const { now, record, fraction, force, validity } = input;
  const { failures, attempts, issued, retryAt = 0 } = record;
  if (retryAt > now) return { act: 'wait', until: retryAt, why: 'asked' };
  const limits = [
    freeAgain(attempts, ATTEMPTS_PER_HOUR, HOUR),
    freeAgain(issued, MOST_ISSUED, issuedWindow(input)),
  ];
  const limit = Math.max(...limits);
  if (limit > now) return { act: 'wait', until: limit, why: 'limit' };
  if (force || failures === 0) return undefined;
  const until = (attempts.at(-1) ?? 0) + backoff(failures, fraction, validity);
  return until > now ? { act: 'wait', until, why: 'backoff' } : undefined;
}

/**
 * A week, as Let's Encrypt counts. What lives shorter, from an authority of one's own, needs more of them: for the
 * last quarter of a life the window is so short that what was issued before that life cannot fill it.
 */
function issuedWindow({ now, validity }: DecideInput): number {
  if (validity === undefined) return WEEK;
  const life = validity.until - validity.from;
  return Math.min(WEEK, now >= urgentTime(validity) ? life / 2 : life * 2);
}

/** An hour after the first failure, doubled up to a day or a share of a short life; up to a tenth later by jitter. */
function backoff(failures: number, fraction: number, validity: Validity | undefined): number {
  const life = validity === undefined ? Infinity : validity.until - validity.from;
  const longest = Math.max(HOUR, Math.min(LONGEST_WAIT, life * LONGEST_WAIT_SHARE));
  return Math.min(HOUR * 2 ** (failures - 1), longest) * (1 + fraction / 10);
}

/** When one more fits into a sliding window; 0 when it does now. */
function freeAgain(times: readonly number[], most: number, window: number): number {
  const decisive = times.at(-most);
  return decisive === undefined ? 0 : decisive + window;
}

/**
 * A record for a clock that may have been set back: what it says of the future counts as now, so that no
 * pause lasts longer than it should. What is too old to matter goes.
 */
export function atTime(record: AttemptRecord, now: number): AttemptRecord {
  const kept = (times: readonly number[], window: number): number[] =>
    times.filter((time) => time > now - window).map((time) => Math.min(time, now));
  const { retryAt, advice } = record;
  return {
    ...record,
    ...(advice === undefined
      ? {}
      : { advice: { ...advice, checkAt: Math.min(advice.checkAt, now + DAY) } }),
    attempts: kept(record.attempts, 2 * LONGEST_WAIT),
    issued: kept(record.issued, WEEK),
    ...(retryAt === undefined ? {} : { retryAt: Math.min(retryAt, now + WEEK) }),
  };
}

/** A share that differs between certificates and stays for one: from 0 to 1. */
export function fractionOf(seed: string): number {
  return createHash('sha256').update(seed).digest().readUInt32BE() / 2 ** 32;
}
