import type { Retention } from '../model/backup-settings.ts';

/** A complete backup, as the store lists it. */
export interface KnownBackup {
  readonly id: string;
  /** When it was made, by the clock of the machine that made it. */
  readonly at: Date;
  /** When its manifest was stored, by the store's clock. */
  readonly storedAt: Date;
  readonly verified: boolean;
}

export interface RetentionInput {
  readonly backups: readonly KnownBackup[];
  readonly rules: Retention;
  readonly now: Date;
  /** IANA zone whose days, weeks and months count. */
  readonly timezone: string;
  /** Verified backups that stay whatever the rules say; 3 when absent, never fewer than 1. */
  readonly atLeast?: number;
  /** Every moment of so many seconds before the newest verified one stays in reach of a backup before it. */
  readonly reachBackSeconds?: number;
  /** What an earlier decision said. */
  readonly jumpedAt?: Date | undefined;
}

export interface RetentionDecision {
  /** Ids, newest first. */
  readonly keep: readonly string[];
  /** Ids, oldest first. */
  readonly remove: readonly string[];
  /** Why nothing is removed, where something is suspicious. */
  readonly held?: string;
  /** Of the first backup after a pause in which the clock may have jumped; whoever asks again has to remember it. */
  readonly jumpedAt?: Date;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Verified backups of each server that stay whatever the rules say. */
export const ALWAYS_KEPT = 3;
/** Backups since a suspicious pause that make it believable, once they go on for {@link BELIEVED_AFTER}. */
const CONVINCING = 3;
/** A clock that jumped goes on at the pace of every other: somebody notices it in that time, or never. */
const BELIEVED_AFTER = 7 * DAY;
const MAY_HAVE_JUMPED = 'a clock may have jumped';
/** Two clocks further apart than this are not believed. */
const CLOCK_TOLERANCE = DAY;
/** A backup from this much later than now was made, or is judged, by a wrong clock. */
const FUTURE_TOLERANCE = HOUR;
/** After such a pause the newest backup may come from a clock that jumped. */
const SMALLEST_JUMP = 7 * DAY;

/**
 * Which backups of one job may go. Age is counted from the newest verified backup, never from the clock, so a
 * clock that is wrong today expires nothing; and whatever looks like a wrong clock removes nothing.
 * Whoever asks has compared the listing with what he knows.
 */
export function decideRetention(input: RetentionInput): RetentionDecision {
  const newestFirst = [...input.backups].sort(
    (a, b) => b.at.getTime() - a.at.getTime() || (a.id < b.id ? 1 : -1),
  );
  const byRules = kept(input, newestFirst);
  const jump = jumpWithin(newestFirst, input.rules) ?? jumpedLately(input.jumpedAt, newestFirst);
  const held =
    byRules.size === newestFirst.length
      ? nothingProved(input, newestFirst)
      : (suspicion(input, newestFirst) ?? jump?.why);
  const keep = held === undefined ? byRules : new Set(newestFirst.map(({ id }) => id));
  return {
    keep: newestFirst.filter(({ id }) => keep.has(id)).map(({ id }) => id),
    remove: newestFirst
      .filter(({ id }) => !keep.has(id))
      .map(({ id }) => id)
      .reverse(),
    ...(held === undefined ? {} : { held }),
    ...(jump === undefined ? {} : { jumpedAt: jump.at }),
  };
}

/** Without a verified one nothing ever gets old: that is told once the rules would give something up. */
function nothingProved(
  input: RetentionInput,
  newestFirst: readonly KnownBackup[],
): string | undefined {
  if (newestFirst.some(({ verified }) => verified)) return undefined;
  const wouldStay = kept(
    input,
    newestFirst.map((backup) => ({ ...backup, verified: true })),
  );
  if (wouldStay.size === newestFirst.length) return undefined;
  return 'no backup of this job could be verified there, and age counts from the newest verified one';
}

function suspicion(
  { now }: RetentionInput,
  newestFirst: readonly KnownBackup[],
): string | undefined {
  const future = newestFirst.find(({ at }) => at.getTime() > now.getTime() + FUTURE_TOLERANCE);
  if (future !== undefined) return `${future.id} is from the future: a clock is or was wrong`;
  const newest = newestFirst[0];
  if (newest === undefined) return undefined;
  const apart = Math.abs(newest.at.getTime() - newest.storedAt.getTime());
  if (apart > CLOCK_TOLERANCE) {
    return `the clocks of this machine and of the store disagree about ${newest.id}`;
  }
  return undefined;
}

interface Jump {
  /** Of the first backup after it. */
  readonly at: Date;
  readonly why: string;
}

/** A pause that is long for these rules, with fewer than three backups since: the clock may have jumped in it. */
function jumpWithin(newestFirst: readonly KnownBackup[], rules: Retention): Jump | undefined {
  if (rules.keepSeconds === undefined) return undefined;
  const longest = Math.max(
    SMALLEST_JUMP + HOUR,
    (rules.keepSeconds * 1000) / 2,
    usualPause(newestFirst) * 2,
  );
  for (const [index, { at }] of newestFirst.slice(0, CONVINCING - 1).entries()) {
    const previous = newestFirst[index + 1];
    if (previous === undefined) return undefined;
    const pause = at.getTime() - previous.at.getTime();
    if (pause > longest) {
      const days = Math.floor(pause / DAY);
      return { at, why: `${days} days lie between two of the newest backups: ${MAY_HAVE_JUMPED}` };
    }
  }
  return undefined;
}

/** What older backups look like says nothing: the rules themselves leave pauses between them. */
function jumpedLately(
  jumpedAt: Date | undefined,
  newestFirst: readonly KnownBackup[],
): Jump | undefined {
  const newest = newestFirst[0];
  if (jumpedAt === undefined || newest === undefined) return undefined;
  const since = newest.at.getTime() - jumpedAt.getTime();
  // A clock that was put right again, and whose backups somebody removed, leaves one from the future.
  if (since < 0 || since >= BELIEVED_AFTER) return undefined;
  const why = `a long pause ended less than ${BELIEVED_AFTER / DAY} days ago, with ${jumpedAt.toISOString()}: ${MAY_HAVE_JUMPED}`;
  return { at: jumpedAt, why };
}

/** The median pause between two backups, milliseconds: a monthly job is not a clock that jumps. */
function usualPause(newestFirst: readonly KnownBackup[]): number {
  const pauses = newestFirst
    .slice(1)
    .map(({ at }, index) => (newestFirst[index]?.at.getTime() ?? 0) - at.getTime())
    .sort((a, b) => a - b);
  // Fewer say nothing of a rhythm.
  return pauses.length < CONVINCING ? 0 : (pauses[Math.floor(pauses.length / 2)] ?? 0);
}

function kept(input: RetentionInput, newestFirst: readonly KnownBackup[]): Set<string> {
  const { rules, timezone } = input;
  const verified = newestFirst.filter((backup) => backup.verified);
  const lastVerified = verified[0];
  if (lastVerified === undefined || hasNoRule(rules)) {
    return new Set(newestFirst.map(({ id }) => id));
  }
  const ids = new Set(
    verified.slice(0, Math.max(1, input.atLeast ?? ALWAYS_KEPT)).map(({ id }) => id),
  );
  for (const backup of newestFirst) {
    const younger = backup.at.getTime() > lastVerified.at.getTime();
    const age = (lastVerified.at.getTime() - backup.at.getTime()) / 1000;
    const withinSpan = rules.keepSeconds !== undefined && age <= rules.keepSeconds;
    if (younger || withinSpan) ids.add(backup.id);
  }
  for (const backup of reaching(verified, input.reachBackSeconds)) ids.add(backup.id);
  keepOnePerPeriod(verified, rules.daily ?? 0, (at) => dayOf(at, timezone), ids);
  keepOnePerPeriod(verified, rules.weekly ?? 0, (at) => weekOf(at, timezone), ids);
  keepOnePerPeriod(verified, rules.monthly ?? 0, (at) => dayOf(at, timezone).slice(0, 7), ids);
  return ids;
}

/** Those within the span, and the newest before it: what it begins with is rolled forward from that one. */
function reaching(
  verified: readonly KnownBackup[],
  seconds: number | undefined,
): readonly KnownBackup[] {
  const last = verified[0];
  if (seconds === undefined || last === undefined) return [];
  const begins = last.at.getTime() - seconds * 1000;
  const before = verified.findIndex(({ at }) => at.getTime() <= begins);
  return before === -1 ? verified : verified.slice(0, before + 1);
}

function hasNoRule(rules: Retention): boolean {
  return (
    rules.keepSeconds === undefined &&
    (rules.daily ?? 0) + (rules.weekly ?? 0) + (rules.monthly ?? 0) === 0
  );
}

/** Keeps the newest of each of the last `count` periods that have any: a pause does not eat up the count. */
function keepOnePerPeriod(
  newestFirst: readonly KnownBackup[],
  count: number,
  periodOf: (at: Date) => string,
  ids: Set<string>,
): void {
  const periods = new Set<string>();
  for (const { id, at } of newestFirst) {
    const period = periodOf(at);
    if (periods.has(period)) continue;
    if (periods.size === count) return;
    periods.add(period);
    ids.add(id);
  }
}

const dayFormats = new Map<string, Intl.DateTimeFormat>();

/** `2026-11-21` in the zone. Making a format costs a hundred times as much as using it. */
function dayOf(at: Date, timezone: string): string {
  const format =
    dayFormats.get(timezone) ??
    new Intl.DateTimeFormat('en-CA', {
      timeZone: timezone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
    });
  dayFormats.set(timezone, format);
  return format.format(at);
}

/** The day of the week's Monday: weeks as ISO 8601 has them. */
function weekOf(at: Date, timezone: string): string {
  const day = new Date(`${dayOf(at, timezone)}T00:00:00Z`);
  const sinceMonday = (day.getUTCDay() + 6) % 7;
  return new Date(day.getTime() - sinceMonday * DAY).toISOString().slice(0, 10);
}
