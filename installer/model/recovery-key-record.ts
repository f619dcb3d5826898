/** What was shown about recovery keys on this server. Times are UTC. */
export interface RecoveryKeyRecord {
  readonly version: 1;
  /** When somebody last showed, by public key, that its secret half is in their hands. */
  readonly provenAt: Readonly<Record<string, string>>;
  /** When somebody last chose to go on without a proof. */
  readonly declinedAt?: string;
}

/** Below `paths.agent`. */
export const RECOVERY_KEYS_FILE = 'recovery-keys.json';
