import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { encryptOutput } from '../../installer/backup/age.ts';
import { AgePlainSize } from '../../installer/backup/age-plain-size.ts';

const KIB = 1024;
const folder = await mkdtemp(join(tmpdir(), 'holdfast-age-'));
t.teardown(() => rm(folder, { recursive: true, force: true }));
const identity = join(folder, 'identity');
execFileSync('age-keygen', ['-o', identity], { stdio: 'ignore' });
const recipients = join(folder, 'recipients');
execFileSync('age-keygen', ['-y', '-o', recipients, identity]);

const failure = (exitCode: number, stderr: string): Error => new Error(`${exitCode}: ${stderr}`);

async function collected(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

for (const bytes of [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 5_000_000]) {
  t.test(`${bytes} bytes of a program come back, and their number is known`, async (t) => {
    let plain = -1;
    const argv = ['head', '--bytes', `${bytes}`, '/dev/zero'] as const;
    const stored = await collected(
      encryptOutput({ argv: [...argv], failure }, recipients, (size) => {
        plain = size;
      }),
    );
    t.equal(plain, bytes);
    const options = { input: stored, maxBuffer: 10_000_000 };
    const back = execFileSync('age', ['--decrypt', '-i', identity], options);
    t.ok(back.equals(Buffer.alloc(bytes)));
  });
}

t.test('the size does not depend on how the file is cut', (t) => {
  const input = Buffer.alloc(200_000, 'x');
  const stored = execFileSync('age', ['--encrypt', '-R', recipients], { input });
  const size = new AgePlainSize();
  let plain = 0;
  for (const byte of stored) plain = size.add(Buffer.from([byte]));
  t.equal(plain, 200_000);
  t.end();
});

t.test('a program that fails after its last byte is not taken for one that ended', async (t) => {
  const argv: [string, ...string[]] = ['sh', '-c', 'echo half a dump; echo broken >&2; exit 3'];
  await t.rejects(collected(encryptOutput({ argv, failure }, recipients, () => undefined)), {
    message: '3: broken\n',
  });
});

t.test('a filter that fails is the cause, not the pipe that breaks', async (t) => {
  const argv: [string, ...string[]] = ['head', '--bytes', '50000000', '/dev/zero'];
  await t.rejects(
    collected(encryptOutput({ argv, failure }, join(folder, 'nobody'), () => undefined)),
    { name: 'CommandError', stderr: /nobody/ },
  );
});

t.test('a program that is not there is told', async (t) => {
  await t.rejects(
    collected(encryptOutput({ argv: ['no-such-program'], failure }, recipients, () => undefined)),
    { name: 'CommandError', reason: 'spawn' },
  );
});

t.test('a reader that stops ends both programs', async (t) => {
  const marker = join(folder, 'pid');
  const script = 'echo "$$" >"$1"; exec cat /dev/zero';
  const argv: [string, ...string[]] = ['sh', '-c', script, 'sh', marker];
  const bytes = encryptOutput({ argv, failure }, recipients, () => undefined);
  let seen = 0;
  for await (const chunk of bytes) {
    seen += chunk.length;
    // Past the header, which age writes before there is any input.
    if (seen > 100_000) break;
  }
  const pid = await readFile(marker, 'utf8');
  while (isAlive(Number(pid))) await new Promise((resolve) => setImmediate(resolve));
  t.pass(`${pid.trim()} has ended`);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
