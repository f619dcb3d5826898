/** What a base backup cannot be faster than: each of its stages by itself, on the same cluster in the same run. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupStack } from '../test/support/backup-stack.ts';
import { timed } from './backup-peers.ts';

const DATA = '/var/lib/postgresql/data';
const CHUNK = Buffer.alloc(1024 ** 2, 7);

/** Seconds that each takes. */
export interface BaseLimits {
  readonly disk: number;
  readonly stream: number;
  readonly compression: number;
  readonly upload: number;
}

/** @param stored bytes that the backup came to */
export async function baseLimits(stack: BackupStack, stored: number): Promise<BaseLimits> {
  const inside = (script: string) =>
    timed(() =>
      stack.docker(['exec', '--user', 'postgres', stack.container, 'sh', '-c', script, 'sh', DATA]),
    );
  const read = 'find "$1" -type f -exec cat {} +';
  return {
    disk: await inside(`${read} >/dev/null`),
    stream: await inside(
      'pg_basebackup --pgdata=- --format=tar --wal-method=fetch --checkpoint=fast --no-manifest >/dev/null',
    ),
    // One thread for each of the two processes that pgBackRest has.
    compression: await inside(`${read} | zstd -1 -T2 --quiet --stdout >/dev/null`),
    upload: await timed(() => writeFile(join(stack.root, 'upload'), stored)),
  };
}

async function writeFile(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    for (let left = bytes; left > 0; left -= CHUNK.length) {
      await file.write(CHUNK, 0, Math.min(left, CHUNK.length));
    }
    await file.sync();
  } finally {
    await file.close();
  }
}
