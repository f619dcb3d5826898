import { Readable } from 'node:stream';
import { startChild } from './child.ts';
import { CommandError } from './command-error.ts';

/**
 * A tar archive of these paths below a folder of this machine, as a stream; folders without what is in them.
 * The stream fails when tar does, so that half an archive is never taken for a whole one.
 */
export function packFiles(folder: string, paths: readonly string[]): Readable {
  return Readable.from(packed(folder, paths), { objectMode: false });
}

/** Started by its first reader: of a program that has ended, Node throws away what nobody was reading. */
async function* packed(folder: string, paths: readonly string[]): AsyncGenerator<Buffer> {
  const argv = [
    'tar',
    '--create',
    '--no-recursion',
    '--null',
    '--verbatim-files-from',
    `--directory=${folder}`,
    '--files-from=-',
  ] satisfies [string, ...string[]];
  const { stdin, stdout, done, kill } = startChild({ argv });
  // A tar that ended early says why by its exit code.
  stdin.on('error', () => undefined);
  stdin.end(paths.map((path) => `./${path}\0`).join(''));
  try {
    for await (const chunk of stdout) yield chunk as Buffer;
    const { exitCode, stderr } = await done;
    if (exitCode === 0) return;
    throw new CommandError({ reason: 'exit', argv, host: 'localhost', exitCode, stderr });
  } finally {
    // A reader that gave up leaves a tar that nobody listens to.
    kill('SIGKILL');
  }
}
