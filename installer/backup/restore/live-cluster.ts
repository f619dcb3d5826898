/** When a cluster was the live one, as far as that is known: an upgrade, its revert and a server set up anew change which is. */
export interface Life {
  readonly systemIdentifier: string;
  /** When its base backups began. */
  readonly begun: readonly Date[];
  /** When it was heard of: base backups, and WAL that leads on from one. Empty where the times of the store tell nothing. */
  readonly heard: readonly Date[];
}

/** A time in which another cluster was live. Without an end it still is. */
export interface Absence {
  readonly from: Date;
  readonly until?: Date;
}

/** When what was live is not to be had from a base backup of `own` that began at `startedAt`. */
export function absencesOf(startedAt: Date, own: Life, others: readonly Life[]): Absence[] {
  return others.flatMap((other) => {
    const next = earliest(other.begun.filter((begun) => begun > startedAt));
    if (next !== undefined) {
      const until = backAfter(other, own);
      return [{ from: next, ...(until === undefined ? {} : { until }) }];
    }
    // It was live before, and has no base backup yet since it is again.
    const from = backAfter(own, other);
    return from === undefined ? [] : [{ from }];
  });
}

export function isHeardLater(one: Life, other: Life): boolean {
  return backAfter(other, one) !== undefined;
}

/** When a cluster was first heard of again after the last of another one. */
function backAfter(gone: Life, back: Life): Date | undefined {
  const last = gone.heard.reduce<Date | undefined>(
    (latest, one) => (latest === undefined || one > latest ? one : latest),
    undefined,
  );
  return last === undefined ? undefined : earliest(back.heard.filter((one) => one > last));
}

function earliest(dates: readonly Date[]): Date | undefined {
  return dates.reduce<Date | undefined>(
    (first, one) => (first === undefined || one < first ? one : first),
    undefined,
  );
}
