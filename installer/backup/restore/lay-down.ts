import { Readable } from 'node:stream';
import { AppError } from '../../errors.ts';
import { startChild } from '../../host/child.ts';
import { feed } from '../../host/feed.ts';

/**
 * Gives a helper what it lays down, to the end.
 * @param what is laid down: `the files`
 * @throws AppError `restore/failed`; whatever the content throws, and then the helper is ended
 */
export async function layDown(
  argv: readonly [string, ...string[]],
  content: AsyncIterable<Uint8Array>,
  what: string,
): Promise<void> {
  const child = startChild({ argv });
  child.stdout.on('error', () => undefined).resume();
  await feed(child.stdin, Readable.from(content, { objectMode: false }), () =>
    child.kill('SIGKILL'),
  );
  const { exitCode, stderr } = await child.done;
  if (exitCode === 0) return;
  throw new AppError({
    code: 'restore/failed',
    what: `${what} could not be laid down beside the live ones`,
    why: stderr.trim().split('\n').slice(-8).join('\n'),
    hint: 'the live files were not touched; free some space, then run the same restore again',
  });
}
