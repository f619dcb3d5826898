import { posix } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { AppError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import type { Paths } from '../../model/paths.ts';
import type { BackupManifest } from '../manifest.ts';
import type { DataWish } from './choose-data.ts';
import type { StoredKit } from './find-kits.ts';
import type { RecoveryPlace } from './place.ts';

/** Something that holds data, and what came back of it. */
export interface RestoredData {
  /** As in {@link DataWish}. */
  readonly what: string;
  readonly backup: string;
  /** A line for a person each: what is there now, and how the files from before are dropped. */
  readonly lines: readonly string[];
}

/** What somebody asked for at the begin. */
export interface RecoveryWish {
  readonly place: RecoveryPlace;
  readonly latest: boolean;
  readonly project?: string;
}

/**
 * How far the setting up of this server from a kit has come. Which backups are used is decided once, at the start:
 * the new server makes backups of its own while its data is still on the way.
 */
export interface Recovery {
  readonly version: 1;
  /** UTC. */
  readonly startedAt: string;
  /** Absent in journals of before it was noted. */
  readonly asked?: RecoveryWish;
  readonly kit: StoredKit;
  readonly writer: BackupManifest['writer'];
  readonly data: readonly DataWish[];
  readonly step: 'chosen' | 'placed' | 'restored';
  readonly done: readonly RestoredData[];
}

/** Everything of a recovery that is under way; removed at its end. Below `paths.state`, 0700. */
export function recoveryFolder(paths: Paths): string {
  return posix.join(paths.state, 'recovery');
}

export function unpackedFolder(paths: Paths): string {
  return posix.join(recoveryFolder(paths), 'kit');
}

function journalFile(paths: Paths): string {
  return posix.join(recoveryFolder(paths), 'journal.json');
}

/** @throws AppError `restore/journal-unreadable` */
export async function readRecovery(host: Host, paths: Paths): Promise<Recovery | undefined> {
  const content = await host.read(journalFile(paths));
  if (content === undefined) return undefined;
  try {
    const value = JSON.parse(new TextDecoder().decode(content)) as Recovery;
    if (value.version !== 1) throw new Error(`version ${value.version} is unknown here`);
    return value;
  } catch (cause) {
    throw new AppError({
      code: 'restore/journal-unreadable',
      what: `${journalFile(paths)} cannot be read: it says how far an earlier restore of this server came`,
      why: (cause as Error).message,
      hint: `move it away, then run the same restore again with --replace`,
      cause,
    });
  }
}

/** @throws AppError `restore/under-way`: what comes back was chosen by another wish */
export function refuseOtherWish(paths: Paths, { asked }: Recovery, wish: RecoveryWish): void {
  if (asked === undefined || isDeepStrictEqual(asked, wish)) return;
  throw new AppError({
    code: 'restore/under-way',
    what: 'a restore of this server with other options was begun, and has not come to its end',
    why: `what it brings back was chosen by: ${optionsText(asked)}`,
    hint: `run it with these; or give it up: move ${journalFile(paths)} away, then run this one again with --replace`,
  });
}

function optionsText({ place, latest, project }: RecoveryWish): string {
  const from = place.kind === 's3' ? `s3://${place.bucket}/${place.prefix}` : place.path;
  return [
    `--from ${from}`,
    ...(latest ? ['--latest'] : []),
    ...(project === undefined ? [] : [`--project ${project}`]),
  ].join(' ');
}

export async function writeRecovery(host: Host, paths: Paths, recovery: Recovery): Promise<void> {
  const private_ = { mode: 0o600, uid: 0, gid: 0 };
  await host.makeDirectory(recoveryFolder(paths), { mode: 0o700, uid: 0, gid: 0 });
  await host.write(journalFile(paths), `${JSON.stringify(recovery, undefined, 1)}\n`, private_);
}

export async function endRecovery(host: Host, paths: Paths): Promise<void> {
  await host.remove(recoveryFolder(paths), { recursive: true });
}
