import { execFileSync } from 'node:child_process';
import t from 'tap';
import { type TarEntry, watchTar } from '../../installer/rollout/tar-entries.ts';

const LONG = `${'folder-with-a-long-name/'.repeat(12)}file.txt`;

function packed(folder: string, format: string, ...more: string[]): Buffer {
  return execFileSync('tar', [
    '--create',
    `--format=${format}`,
    `--directory=${folder}`,
    ...more,
    '.',
  ]);
}

/** What is seen of an archive that arrives in pieces of this many bytes, and what comes out again. */
async function watched(archive: Buffer, piece: number) {
  const seen: TarEntry[] = [];
  const out: Uint8Array[] = [];
  async function* pieces() {
    for (let at = 0; at < archive.length; at += piece) yield archive.subarray(at, at + piece);
  }
  for await (const chunk of watchTar(pieces(), (entry) => seen.push(entry))) out.push(chunk);
  return { seen, out: Buffer.concat(out) };
}

t.test(
  'every member of an archive is seen with its whole name, however it is packed',
  async (t) => {
    const nested = LONG.split('/').reduceRight<object | string>(
      (inner, name) => ({ [name]: inner }),
      'x'.repeat(700),
    );
    const folder = t.testdir({
      ...(nested as object),
      'a.txt': 'a',
      'grün.txt': '',
      link: t.fixture('symlink', `${'../'.repeat(3)}${'target/'.repeat(20)}end`),
    });
    for (const format of ['gnu', 'posix', 'pax']) {
      for (const piece of [1000, 65_536]) {
        const archive = packed(folder, format);
        const { seen, out } = await watched(archive, piece);
        t.ok(out.equals(archive), 'the bytes pass as they are');
        const by = (path: string) => seen.find((entry) => entry.path === path);
        t.match(by(`./${LONG}`), { type: '0' }, `${format} in pieces of ${piece}`);
        t.match(by('./link'), { type: '2', link: `../../../${'target/'.repeat(20)}end` });
        t.match(by('./grün.txt'), { type: '0' });
        t.match(by('./'), { type: '5' });
      }
    }
  },
);

t.test('links, devices and pipes are told apart', async (t) => {
  const folder = t.testdir({ 'a.txt': 'content' });
  execFileSync('ln', [`${folder}/a.txt`, `${folder}/b.txt`]);
  execFileSync('mkfifo', [`${folder}/pipe`]);
  const { seen } = await watched(packed(folder, 'gnu', '--sort=name'), 4096);
  t.match(
    seen.filter(({ type }) => type !== '5'),
    [
      { path: './a.txt', type: '0' },
      { path: './b.txt', type: '1', link: './a.txt' },
      { path: './pipe', type: '6' },
    ],
  );
});

t.test('what is no whole archive is an error', async (t) => {
  const folder = t.testdir({ 'a.txt': 'x'.repeat(5000) });
  const archive = packed(folder, 'gnu');
  await t.rejects(watched(archive.subarray(0, 2048), 512), /ends in the middle/);
  await t.rejects(watched(Buffer.from('<html>'.repeat(500)), 512), /no tar archive/);
  await t.rejects(watched(Buffer.alloc(10_240), 512), /no file in it/);
});
