import { pbkdf2 } from 'node:crypto';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { filteredOutput, outputOfProgram } from '../../installer/backup/program-output.ts';
import { marked } from '../../installer/backup/whole-stream.ts';

/** As container-pipe.ts has it, on this machine: says that the pipe is there, waits for an answer, writes, ends. */
const PROGRAM = `mkfifo -m 600 -- "$1" || exit 1
exec 3<>"$1"
echo ready
read -r answer
exec 4>"$1" 3>&-
rm -f -- "$1"
echo worth keeping >&4
echo 'holdfast: ended with 0' >&2`;

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

t.test('the end of a program is told while its output still waits for a reader', async (t) => {
  const failure = (exitCode: number, stderr: string) => new Error(`${exitCode} ${stderr}`);
  const path = join(t.testdir({}), 'pipe');
  const pipe = { direction: 'out', argv: ['sh', '-c', PROGRAM, 'sh', path], path } as const;
  const { argv, plain } = marked(['echo', 'worth keeping']);
  for (const way of [{ plain }, { pipe }]) {
    const { promise: ended, resolve: onEnd } = Promise.withResolvers<void>();
    const output = filteredOutput({ argv, failure, onEnd, ...way }, ['cat']);
    const { value } = await output.next();
    await t.resolves(ended);
    t.equal(`${value}`, 'worth keeping\n');
    await output.return(undefined);
  }
});

t.test('what comes by the engine is whole with its mark, through a filter too', async (t) => {
  const failure = (exitCode: number, stderr: string) => new Error(`${exitCode} ${stderr}`);
  const dump = (script: string) => marked(['sh', '-c', script]);
  const whole = { ...dump('echo rows'), failure };
  t.equal(await text(outputOfProgram(whole)), 'rows\n');
  t.equal(await text(filteredOutput(whole, ['cat'])), 'rows\n');
  const failed = { ...dump('echo half; echo broken >&2; exit 3'), failure };
  const { argv, plain } = dump('echo rows');
  const cut = { argv: cutAfter(20, argv), plain, failure };
  for (const [source, message] of [
    [failed, /^3 broken/],
    [cut, /^125 .*nobody knows/],
  ] as const) {
    await t.rejects(text(outputOfProgram(source)), { message });
    await t.rejects(text(filteredOutput(source, ['cat'])), { message });
  }
});

/** As the engine's client does that lost the stream: with exit code 0. */
function cutAfter(bytes: number, argv: readonly string[]): [string, ...string[]] {
  return ['sh', '-c', `"$@" | head -c ${bytes}`, 'sh', ...argv];
}
