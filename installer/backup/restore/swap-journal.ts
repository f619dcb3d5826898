import { posix } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import type { Paths } from '../../model/paths.ts';

/** What a restore of files that was killed must know to carry on. */
export interface Journal {
  readonly version: 1;
  readonly id: string;
  /** Names the folders of this attempt. */
  readonly token: string;
  /** From `swapping` on the live files may be on their way: nothing is laid down again. */
  readonly phase: 'preparing' | 'swapping';
  /** Of the helper that moves the files. */
  readonly image: string;
  /** Containers that were running and have to run again. */
  readonly stopped: readonly string[];
}

const FOLDER = 'restores';

export function journalFile(paths: Paths, volume: string): string {
  return posix.join(paths.agent, FOLDER, `${volume}.json`);
}

/** @throws AppError `restore/unfinished` when a restore of another backup was killed in its swap */
export async function readJournal(
  host: Host,
  file: string,
  id: string,
): Promise<Journal | undefined> {
  const journal = await parsed(host, file);
  if (journal === undefined || journal.id === id) return journal;
  if (journal.phase === 'swapping') throw unfinished(journal.id, posix.basename(file, '.json'));
  return undefined;
}

export async function saveJournal(host: Host, file: string, journal: Journal): Promise<void> {
  await host.write(file, `${JSON.stringify(journal)}\n`, { mode: 0o600, uid: 0, gid: 0 });
}

/** Volumes whose restore was killed in its swap. The caller holds the server's lock, as every swap does. */
export async function unfinishedSwaps(
  host: Host,
  paths: Paths,
): Promise<{ readonly volume: string; readonly journal: Journal }[]> {
  const folder = posix.join(paths.agent, FOLDER);
  if ((await host.stat(folder)) === undefined) return [];
  const found: { volume: string; journal: Journal }[] = [];
  for (const name of await host.list(folder)) {
    if (!name.endsWith('.json')) continue;
    const journal = await parsed(host, posix.join(folder, name));
    if (journal?.phase !== 'swapping') continue;
    found.push({ volume: posix.basename(name, '.json'), journal });
  }
  return found;
}

/** To be called before the first file moves. */
export async function noteSwap(
  host: Host,
  paths: Paths,
  volume: string,
  { token }: Journal,
): Promise<void> {
  await host.write(lastSwapFile(paths, volume), token, { mode: 0o600, uid: 0, gid: 0 });
}

/**
 * What is read of a volume, unless a restore puts other files there meanwhile: some of each would look like a whole.
 * @throws AppError `backup/restored-meanwhile`, before the end
 */
export async function* unlessSwapped<T>(
  host: Host,
  paths: Paths,
  volume: string,
  content: AsyncIterable<T>,
): AsyncGenerator<T> {
  const before = await lastSwap(host, paths, volume);
  yield* content;
  if ((await lastSwap(host, paths, volume)) !== before) throw restoredMeanwhile(volume);
}

/** Names the last swap that was begun; undefined where there was none. */
async function lastSwap(host: Host, paths: Paths, volume: string): Promise<string | undefined> {
  const journal = await parsed(host, journalFile(paths, volume));
  if (journal?.phase === 'swapping') throw restoredMeanwhile(volume);
  const content = await host.read(lastSwapFile(paths, volume));
  return content === undefined ? undefined : Buffer.from(content).toString('utf8');
}

function lastSwapFile(paths: Paths, volume: string): string {
  return posix.join(paths.agent, FOLDER, `${volume}.swapped`);
}

function restoredMeanwhile(volume: string): AppError {
  return new AppError({
    code: 'backup/restored-meanwhile',
    what: `a restore put other files into ${volume} while it was saved`,
    why: 'the backup would hold some of the old ones and some of the new ones',
    hint: 'once the restore has ended: `holdfast backup run`',
  });
}

async function parsed(host: Host, file: string): Promise<Journal | undefined> {
  const content = await host.read(file);
  if (content === undefined) return undefined;
  return JSON.parse(Buffer.from(content).toString('utf8')) as Journal;
}

function unfinished(id: string, volume: string): AppError {
  return new AppError({
    code: 'restore/unfinished',
    what: `a restore of ${id} was interrupted in the middle of its swap`,
    why: `the volume ${volume} holds neither all of its old files nor all of the restored ones`,
    hint: `finish it first: \`holdfast restore ${id} --yes\``,
  });
}
