/** TXT records of one name: `_acme-challenge.…`, all its values at once. */
export interface TxtRecord {
  readonly name: string;
  readonly values: readonly string[];
}

/** Where the DNS zone is written. Every failure is an AppError `certificate/dns-provider` without a secret in it. */
export interface DnsProvider {
  /** Finds the zone of a name, which proves the credentials. Changes nothing. */
  check(name: string): Promise<void>;
  put(record: TxtRecord): Promise<void>;
  /** Values that are not there are no failure. */
  remove(record: TxtRecord): Promise<void>;
}

/** A name and its parents, longest first, down to two labels. */
export function zoneCandidates(name: string): string[] {
  const labels = name.split('.');
  return labels.slice(0, -1).map((_, skip) => labels.slice(skip).join('.'));
}
