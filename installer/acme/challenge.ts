/** One proof that the authority asks for. */
export interface Proof {
  /** Without the `*.` of a wildcard. */
  readonly host: string;
  readonly token: string;
  /** What must stand at the token's place: the body for http-01, the TXT value for dns-01. */
  readonly content: string;
}

/** A way to prove names: makes proofs visible to the authority and takes them back. */
export interface ChallengeKind {
  readonly type: 'http-01' | 'dns-01';
  /**
   * Finds out, without asking the authority for anything, whether a proof can succeed.
   * @throws AppError `certificate/…` that says exactly what to change
   */
  check(hosts: readonly string[]): Promise<void>;
  /** Resolves when all proofs can be seen from outside, as far as we can tell. */
  show(proofs: readonly Proof[]): Promise<void>;
  /** May be called for proofs that are not there. */
  takeBack(proofs: readonly Proof[]): Promise<void>;
}

export function baseName(host: string): string {
  return host.replace(/^\*\./, '');
}
