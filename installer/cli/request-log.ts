import { setTimeout as pause } from 'node:timers/promises';
import type { Host } from '../host/host.ts';

/** nginx writes within a second. */
const LOOK_EVERY_MS = 500;
/** Bytes that are read at a time: less than a host keeps of a program's output. */
const PIECE = 4 * 1024 * 1024;

/** The file, and those that the agent has moved away, the newest first. */
function filesOf(path: string): string[] {
  return [path, ...['old', 1, 2, 3, 4].map((end) => `${path}.${end}`)];
}

/** The last lines of what nginx answered, as far as the files go that are kept. */
export async function lastRequests(host: Host, path: string, lines: number): Promise<string[]> {
  return lastLines(host, filesOf(path), lines);
}

async function lastLines(host: Host, files: readonly string[], lines: number): Promise<string[]> {
  let found: string[] = [];
  for (const file of files) {
    const missing = lines - found.length;
    if (missing <= 0) break;
    if ((await host.stat(file)) === undefined) continue;
    const piece: string[] = [];
    const { exitCode } = await host.run({
      argv: ['tail', `--lines=${missing}`, '--', file],
      onLine: (line) => piece.push(line),
      // Moved away this moment.
      okExitCodes: [0, 1],
    });
    if (exitCode === 0) found = [...piece, ...found];
  }
  return found;
}

interface Place {
  readonly inode: string;
  /** Bytes of it that were read. */
  readonly offset: number;
}

/** Those, and all that come after them, until the signal: also what is still written to a file that was moved away. */
export async function followRequests(
  host: Host,
  path: string,
  {
    tail,
    signal,
    onLine,
  }: {
    readonly tail: number;
    readonly signal: AbortSignal;
    readonly onLine: (line: string) => void;
  },
): Promise<void> {
  let place = await begin(host, path, tail, onLine);
  let rest = '';
  while (!signal.aborted) {
    await pause(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    const files = await look(host, filesOf(path));
    const ours = files.find(({ inode }) => inode === place?.inode);
    if (ours !== undefined && place !== undefined && ours.size > place.offset) {
      const end = Math.min(ours.size, place.offset + PIECE);
      const text = await bytesOf(host, ours.file, place.offset, end);
      // Moved on this moment: the next look finds it under its new name.
      if (text === undefined) continue;
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      place = { inode: place.inode, offset: end };
      for (const line of lines) onLine(line);
      continue;
    }
    const current = files.find(({ file }) => file === path);
    // Emptied by somebody, or nothing new since the last look in the one that was moved away.
    const isAnother = current !== undefined && current.inode !== place?.inode;
    const isEmptied = ours !== undefined && place !== undefined && ours.size < place.offset;
    if (isAnother || isEmptied) {
      place = { inode: isAnother ? current.inode : (ours?.inode ?? ''), offset: 0 };
      rest = '';
    }
  }
}

/** Hands on the last lines, and says where they end. */
async function begin(
  host: Host,
  path: string,
  tail: number,
  onLine: (line: string) => void,
): Promise<Place | undefined> {
  const [current] = await look(host, [path]);
  const [, ...moved] = filesOf(path);
  const from = Math.max(0, (current?.size ?? 0) - PIECE);
  const text = current && (await bytesOf(host, path, from, current.size));
  const whole = (text ?? '').split('\n').slice(from === 0 ? 0 : 1, -1);
  const missing = from === 0 ? tail - whole.length : 0;
  const lines = [...(await lastLines(host, moved, missing)), ...whole];
  for (const line of lines.slice(-tail)) onLine(line);
  return current && { inode: current.inode, offset: current.size };
}

interface Seen {
  readonly file: string;
  readonly inode: string;
  /** Bytes. */
  readonly size: number;
}

/** Those that are there. */
async function look(host: Host, files: readonly string[]): Promise<Seen[]> {
  const { stdout } = await host.run({
    argv: ['stat', '--format=%i %s %n', '--', ...files],
    okExitCodes: [0, 1],
  });
  return stdout.split('\n').flatMap((line) => {
    const [, inode, size, file] = /^(\d+) (\d+) (.*)$/.exec(line) ?? [];
    return inode === undefined || file === undefined ? [] : [{ file, inode, size: Number(size) }];
  });
}

/** Undefined where the file has just got another name. */
async function bytesOf(
  host: Host,
  file: string,
  from: number,
  to: number,
): Promise<string | undefined> {
  const range = [`skip=${from}`, `count=${to - from}`, 'iflag=skip_bytes,count_bytes'];
  const { exitCode, stdout } = await host.run({
    argv: ['dd', `if=${file}`, 'bs=64K', 'status=none', ...range],
    okExitCodes: [0, 1],
  });
  return exitCode === 0 ? stdout : undefined;
}
