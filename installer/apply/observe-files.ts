import type { FileAttributes, Host } from '../host/host.ts';

export interface InspectedPath extends FileAttributes {
  readonly type: 'file' | 'directory' | 'other';
  /** Bytes. */
  readonly size: number;
}

/** What stands there instead of a hash when the path is a link, a folder or a device. */
export const NOT_A_FILE = 'not a regular file';

const FORMAT_MASK = 0o170000;
// A map: Biome's formatter rewrites octal keys of an object to wrong numbers.
const TYPES: ReadonlyMap<number, InspectedPath['type']> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
]);

/** Characters of paths per program run; Linux takes 131,072 in one argument, which is what SSH makes of them. */
const BATCH_CHARACTERS = 60_000;

/** Type, mode and owner of every path that exists, in few round trips. Follows no link. */
export async function inspectPaths(
  host: Host,
  paths: readonly string[],
): Promise<Map<string, InspectedPath>> {
  const found = new Map<string, InspectedPath>();
  for (const batch of batches(paths)) {
    const { stdout } = await host.run({
      argv: ['stat', '--printf', '%f %u %g %s %n\\0', '--', ...batch],
      // 1: some path does not exist.
      okExitCodes: [0, 1],
    });
    for (const record of records(stdout)) {
      const [, mode = '', uid, gid, size, path] =
        /^([0-9a-f]+) (\d+) (\d+) (\d+) (.*)$/s.exec(record) ?? [];
      if (path === undefined) continue;
      const bits = Number.parseInt(mode, 16);
      found.set(path, {
        type: TYPES.get(bits & FORMAT_MASK) ?? 'other',
        mode: bits & 0o7777,
        uid: Number(uid),
        gid: Number(gid),
        size: Number(size),
      });
    }
  }
  return found;
}

/** sha256 (hex) of regular files, in few round trips. A file that vanished meanwhile is left out. */
export async function hashFiles(
  host: Host,
  paths: readonly string[],
): Promise<Map<string, string>> {
  const hashes = new Map<string, string>();
  for (const batch of batches(paths)) {
    const { stdout } = await host.run({
      argv: ['sha256sum', '--zero', '--', ...batch],
      okExitCodes: [0, 1],
    });
    for (const record of records(stdout)) {
      const [, hash, path] = /^([0-9a-f]{64}) [ *](.*)$/s.exec(record) ?? [];
      if (hash !== undefined && path !== undefined) hashes.set(path, hash);
    }
  }
  return hashes;
}

function records(output: string): string[] {
  return output.split('\0').filter((record) => record !== '');
}

function batches(paths: readonly string[]): string[][] {
  const all: string[][] = [];
  let room = 0;
  for (const path of paths) {
    if (path.length + 3 > room) {
      all.push([]);
      room = BATCH_CHARACTERS;
    }
    all.at(-1)?.push(path);
    // Quoting for SSH adds two characters and the blank.
    room -= path.length + 3;
  }
  return all;
}
