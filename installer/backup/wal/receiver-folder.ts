import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  isSegment,
  isTimelineHistory,
  isWalFile,
  partialOf,
  type WriteTimes,
} from '../../model/wal-files.ts';

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
  /** Of all files; one that a later write may leave the same has another here. */
  readonly times: WriteTimes;
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
  const isSure = (mtimeMs: number): boolean => Math.abs(now - mtimeMs) > CLOCK_TICK_MS;
  return {
    segments: files.filter(({ name }) => isSegment(name)),
    partials: files.filter(({ name }) => partialOf(name) !== undefined),
    histories: files.filter(({ name }) => isTimelineHistory(name)),
    times: Object.fromEntries(
      files.map(({ name, mtimeMs }) => [name, isSure(mtimeMs) ? mtimeMs : mtimeMs - 1]),
    ),
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
