import { setTimeout as pause } from 'node:timers/promises';
import type { Host } from '../host/host.ts';

/** nginx writes within a second. */
const LOOK_EVERY_MS = 500;

/** The last lines of what nginx answered, also where the file has just been begun. */
export async function lastRequests(host: Host, path: string, lines: number): Promise<string[]> {
  const found: string[] = [];
  // The agent moves a file that has grown to `.old`, and then to `.1`.
  for (const name of [path, `${path}.old`, `${path}.1`]) {
    const missing = lines - found.length;
    if (missing === 0 || (await host.stat(name)) === undefined) continue;
    // Exit code 1: moved away this moment.
    const tail = { argv: ['tail', `--lines=${missing}`, '--', name], okExitCodes: [0, 1] } as const;
    found.unshift(...linesOf((await host.run(tail)).stdout));
  }
  return found;
}

/** Those, and all that come after them, until the signal. */
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
  let offset = await sizeOf(host, path);
  for (const line of await lastRequests(host, path, tail)) onLine(line);
  let rest = '';
  const readTo = async (name: string, end: number): Promise<void> => {
    const lines = (rest + (await bytesOf(host, name, offset, end))).split('\n');
    rest = lines.pop() ?? '';
    offset = end;
    for (const line of lines) onLine(line);
  };
  while (!signal.aborted) {
    await pause(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    const size = await sizeOf(host, path);
    if (size < offset) {
      for (const moved of [`${path}.old`, `${path}.1`]) {
        const end = await sizeOf(host, moved);
        if (end > offset) await readTo(moved, end);
      }
      offset = 0;
    }
    if (size > offset) await readTo(path, size);
  }
}

async function sizeOf(host: Host, path: string): Promise<number> {
  return (await host.stat(path))?.size ?? 0;
}

async function bytesOf(host: Host, path: string, from: number, to: number): Promise<string> {
  const range = [`skip=${from}`, `count=${to - from}`, 'iflag=skip_bytes,count_bytes'];
  return (await host.run({ argv: ['dd', `if=${path}`, 'bs=64K', 'status=none', ...range] })).stdout;
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
