import { pbkdf2 } from 'node:crypto';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { filteredOutput } from '../../installer/backup/program-output.ts';

/** As container-pipe.ts has it, on this machine: says that the pipe is there, waits for an answer, writes, ends. */
const PROGRAM = `mkfifo -m 600 -- "$1" || exit 1
exec 3<>"$1"
echo ready
read -r answer
exec 4>"$1" 3>&-
rm -f -- "$1"
echo worth keeping >&4`;

t.test('a short program and its filter end before anybody listens: nothing is lost', async (t) => {
  const folder = t.testdir({});
  // Everything that waits for a thread, such as closing a file, comes late.
  let isBusy = true;
  const occupy = (): void => pbkdf2('a', 'b', 20_000, 32, 'sha512', () => isBusy && occupy());
  for (let thread = 0; thread < 4; thread += 1) occupy();
  try {
    for (let round = 0; round < 3; round += 1) {
      const path = join(folder, `pipe-${round}`);
      const argv = ['sh', '-c', PROGRAM, 'sh', path] as const;
      const pipe = { direction: 'out', argv, path } as const;
      const failure = (exitCode: number, stderr: string) => new Error(`${exitCode} ${stderr}`);
      t.equal(await text(filteredOutput({ argv, failure, pipe }, ['cat'])), 'worth keeping\n');
    }
  } finally {
    isBusy = false;
  }
});
