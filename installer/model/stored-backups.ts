/**
 * What a server knows that a job has in its store, at `paths.agent/stored/<job>.json`: compared with each listing
 * before anything is removed. The agent turns `gone` into a metric, `status` shows it. Times are UTC, ISO 8601.
 */
export interface StoredBackups {
  readonly version: 1;
  /** Name of the store: another one begins anew. */
  readonly store: string;
  /** Of all complete backups, whoever made them. */
  readonly ids: readonly string[];
  /** Of those that this server stored. */
  readonly ours?: readonly string[];
  /** Whether a listing was compared before; until then nothing is known of what others left there. */
  readonly compared?: boolean;
  /** Who made backups that this server did not, as far as their manifests were read. */
  readonly writers?: Readonly<Record<string, StoredWriter>>;
  /** Of backups of other servers that stay although the rules give them up. */
  readonly spared?: readonly string[];
  /** Of the first backup after a pause in which the clock may have jumped. */
  readonly jumpedAt?: string | undefined;
  /** What this server stored, and what somebody else removed. */
  readonly gone?: readonly GoneBackup[];
}

export interface StoredWriter {
  readonly host: string;
  readonly id: string;
}

export interface GoneBackup {
  readonly id: string;
  readonly noticedAt: string;
}

/** Folder below `paths.agent` that holds one file for each job. */
export const STORED_FOLDER = 'stored';

/** How long a backup that disappeared is told of, milliseconds. */
const TOLD_FOR = 7 * 86_400_000;

/** What disappeared in the last seven days; later nothing can be done about it any more. */
export function goneLately(gone: readonly GoneBackup[] | undefined, now: Date): GoneBackup[] {
  return (gone ?? []).filter(({ noticedAt }) => now.getTime() - Date.parse(noticedAt) < TOLD_FOR);
}
