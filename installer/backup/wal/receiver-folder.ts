import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSegment, isTimelineHistory, isWalFile, partialOf } from '../../model/wal-files.ts';

export interface ReceivedFile {
  readonly name: string;
  /** Bytes; a segment has its full size from the start. */
  readonly size: number;
  readonly mtimeMs: number;
}

export interface Received {
  /** Finished ones, oldest first. */
  readonly segments: readonly ReceivedFile[];
  /** What is still being received; after a change of the timeline there may be two. */
  readonly partials: readonly ReceivedFile[];
  readonly histories: readonly ReceivedFile[];
  /** Of the file that was written last; 0 when there is none. */
  readonly newestMtimeMs: number;
  /** What was written up to then shows in the times; later writes may bear the same time. */
  readonly surelySeenMs: number;
}

/** File systems write times as coarse as the kernel's tick, 10 ms at most; doubled and more. */
const CLOCK_TICK_MS = 50;

/** What the receiver has left. A file that it renames meanwhile is seen the next time. */
export async function listReceived(folder: string): Promise<Received> {
  const now = Date.now();
  const files: ReceivedFile[] = [];
  for (const name of (await readdir(folder)).filter(isWalFile).sort()) {
    try {
      const { size, mtimeMs } = await stat(join(folder, name));
      files.push({ name, size, mtimeMs });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  const newestMtimeMs = Math.max(0, ...files.map(({ mtimeMs }) => mtimeMs));
  return {
    segments: files.filter(({ name }) => isSegment(name)),
    partials: files.filter(({ name }) => partialOf(name) !== undefined),
    histories: files.filter(({ name }) => isTimelineHistory(name)),
    newestMtimeMs,
    surelySeenMs: newestMtimeMs > now - CLOCK_TICK_MS ? newestMtimeMs - 1 : newestMtimeMs,
  };
}

/** Undefined when the receiver has renamed it meanwhile. */
export async function readReceived(folder: string, name: string): Promise<Buffer | undefined> {
  try {
    return await readFile(join(folder, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export async function removeReceived(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) await rm(join(folder, name), { force: true });
}
