/** The commands that people use instead of the program, measured on the same database. */
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BackupStack } from '../test/support/backup-stack.ts';

const run = promisify(execFile);

export async function scripted(stack: BackupStack): Promise<{ seconds: number; bytes: number }> {
  const file = join(stack.root, 'script.gz');
  const seconds = await timed(() =>
    run('sh', [
      '-c',
      'docker exec -u postgres "$1" pg_dump -Fc shop | gzip >"$2" && sync "$2"',
      'sh',
      stack.container,
      file,
    ]),
  );
  const { size } = await stat(file);
  if (size < 1000) throw new Error('the script dumped nothing');
  return { seconds, bytes: size };
}

export interface PeerRestore {
  readonly seconds: number;
  /** Seconds of processor time in the container of Postgres. */
  readonly cpu: number;
}

export async function pgRestore(stack: BackupStack): Promise<PeerRestore> {
  const inside = (script: string) =>
    stack.docker(['exec', '-u', 'postgres', stack.container, 'sh', '-c', script]);
  await inside('pg_dump -Fc shop >/tmp/shop.dump && createdb theirs');
  const start = await postgresCpu(stack);
  const seconds = await timed(() => inside('pg_restore -j 2 -d theirs /tmp/shop.dump'));
  const cpu = (await postgresCpu(stack)) - start;
  await inside('dropdb theirs && rm /tmp/shop.dump');
  return { seconds, cpu };
}

/** Processor seconds of the container so far. */
export async function postgresCpu({ engine, container }: BackupStack): Promise<number> {
  return (await engine.stats(container)).cpuSeconds;
}

/** Seconds that it takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
