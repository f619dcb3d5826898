import { spawnSync } from 'node:child_process';
import { Readable } from 'node:stream';
import t from 'tap';
import { accessoryDump } from '../../installer/backup/sources/accessory.ts';
import { counted, Given, marked, unmarkedProgram } from '../../installer/backup/whole-stream.ts';
import type { Engine, ExecRequest } from '../../installer/engine/engine.ts';

function outcome([program, ...rest]: readonly [string, ...string[]], input?: Buffer) {
  const { status, stdout, stderr } = spawnSync(program, rest, input === undefined ? {} : { input });
  return { status, stdout, stderr: stderr.toString() };
}

/** In pieces of that many bytes. */
async function read({ plain }: ReturnType<typeof marked>, output: Buffer, piece: number) {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < output.length; at += piece) yield output.subarray(at, at + piece);
  }
  const body = plain(pieces());
  const chunks: Buffer[] = [];
  for (;;) {
    const { done, value } = await body.next();
    if (done === true) return { code: value, text: Buffer.concat(chunks).toString() };
    chunks.push(value as Buffer);
  }
}

t.test('what a program puts out is whole with its mark, and only then', async (t) => {
  for (const code of [0, 1, 137]) {
    const program = marked(['sh', '-c', `printf 'two\\0lines\\n'; exit ${code}`]);
    const { status, stdout } = outcome(program.argv);
    t.equal(status, code);
    for (const piece of [1, 7, 1000]) {
      t.strictSame(await read(program, stdout, piece), { code, text: 'two\0lines\n' });
    }
    for (let length = 0; length < stdout.length; length += 1) {
      const { code: cut } = await read(program, stdout.subarray(0, length), 7);
      if (cut !== undefined) t.fail(`cut after ${length}`);
    }
  }
  const other = outcome(marked(['true']).argv).stdout;
  t.match(await read(marked(['true']), other, 1000), { code: undefined }, 'the mark of another');
  t.strictSame(await read(unmarkedProgram(['true']), Buffer.from('x'), 1), { code: 0, text: 'x' });
});

t.test('what a program is given is counted, and its exit code stays', async (t) => {
  const input = Buffer.alloc(300_000, 'x');
  for (const [script, status, stdout] of [
    ['cat >/dev/null', 0, '300000\n'],
    ['head -c 5 >/dev/null', 0, '300000\n'],
    ['wc -c', 0, '300000\n'],
    ['head -c 5 >/dev/null; exit 7', 7, /^\d+\n$/],
  ] as const) {
    const result = outcome(counted(['sh', '-c', script]), input);
    t.match({ ...result, stdout: result.stdout.toString() }, { status, stdout }, script);
  }
  const half = outcome(counted(['cat']), input.subarray(0, 5));
  t.equal(half.stdout.toString(), '5\n');
  t.equal(half.stderr, 'xxxxx', 'its own output is what it says');

  const given = new Given();
  for await (const _ of given.through(Readable.from([input, input])));
  t.equal(given.whyCut('600000\n'), undefined);
  t.match(given.whyCut('599999\n'), /599999 of 600000 bytes arrived/);
  t.match(given.whyCut(''), /was cut: 0 of 600000/);
});

t.test(
  'the dump of an accessory that the engine cut is none, whatever its exit code',
  async (t) => {
    const source = { kind: 'accessory', name: 'db', container: 'db-1', volumes: [] } as const;
    async function dumped(output: (mark: string) => string): Promise<string> {
      const engine = {
        exec: async () => ({ exitCode: 0, stdout: '', stderr: '' }),
        execStream: async (_: string, { argv }: ExecRequest) => ({
          stdout: Readable.from([Buffer.from(output(argv[4] ?? ''))]),
          done: Promise.resolve({ exitCode: 0, stderr: '' }),
        }),
      };
      let text = '';
      const body = accessoryDump(engine as unknown as Engine, { ...source, dump: ['dump'] });
      for await (const chunk of body) text += Buffer.from(chunk).toString();
      return text;
    }
    t.equal(await dumped((mark) => `rows${mark}000`), 'rows');
    for (const output of [
      () => 'rows',
      (mark: string) => `rows${mark}00`,
      (mark: string) => `rows${mark}003`,
      (mark: string) => `${mark}000`,
    ]) {
      await t.rejects(dumped(output), { code: 'backup/accessory' });
    }
  },
);
