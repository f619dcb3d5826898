import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { ENGINE_LOG } from '../../engine/engine-error.ts';
import { AppError } from '../../errors.ts';
import { startChild } from '../../host/child.ts';
import { feed } from '../../host/feed.ts';
import { type HelperRequest, helperArgv } from '../helper-container.ts';
import { counted, Given } from '../whole-stream.ts';

/**
 * Gives a helper what it lays down, to the end. To tar a stream that was cut between two files is whole.
 * @param what is laid down: `the files`
 * @throws AppError `restore/failed`; whatever the content throws, and then the helper is ended
 */
export async function layDown(
  request: HelperRequest,
  content: AsyncIterable<Uint8Array>,
  what: string,
): Promise<void> {
  const given = new Given();
  const argv = helperArgv({ ...request, argv: counted(request.argv) });
  const cut = given.whyCut(await layDownBy(argv, given.through(content), what));
  if (cut !== undefined) throw notLaidDown(what, cut, ENGINE_LOG);
}

/** The same by a program of this machine, which gets its input from us alone. @returns what it puts out */
export async function layDownBy(
  argv: readonly [string, ...string[]],
  content: AsyncIterable<Uint8Array>,
  what: string,
): Promise<string> {
  const child = startChild({ argv });
  // Of one that could not start, `done` tells why.
  const said = text(child.stdout).catch(() => '');
  await feed(child.stdin, Readable.from(content, { objectMode: false }), () =>
    child.kill('SIGKILL'),
  );
  const { exitCode, stderr } = await child.done;
  if (exitCode === 0) return await said;
  const why = stderr.trim().split('\n').slice(-8).join('\n');
  throw notLaidDown(what, why, 'free some space');
}

function notLaidDown(what: string, why: string, remedy: string): AppError {
  return new AppError({
    code: 'restore/failed',
    what: `${what} could not be laid down beside the live ones`,
    why,
    hint: `the live files were not touched; ${remedy}, then run the same restore again`,
  });
}
