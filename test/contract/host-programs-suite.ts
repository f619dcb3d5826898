import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import type { Test } from 'tap';
import type { HostUnderTest } from './host-suite.ts';

const MIB = 1024 * 1024;

/** What every Host with a real system below it does; the programs used are those of any Debian. */
export function hostProgramsSuite(t: Test, start: (t: Test) => Promise<HostUnderTest>): void {
  t.test('a program is stopped with its children when its time is over', async (t) => {
    const { host, folder } = await start(t);
    const pids = posix.join(folder, 'pids');
    const script = 'sleep 1000 & echo $! $$ >"$1"; echo started; wait';
    await t.rejects(host.run({ argv: ['sh', '-c', script, 'sh', pids], timeoutSeconds: 3 }), {
      code: 'host/command-timeout',
      reason: 'timeout',
      what: /within 3 s/,
      stdout: 'started\n',
    });
    const left = text(await host.read(pids))
      .trim()
      .split(' ');
    t.equal(left.length, 2);
    const alive = await host.run({
      // A signal takes its time to arrive.
      argv: [
        'sh',
        '-c',
        `for p; do
           n=0
           while [ $n -lt 600 ] && grep -q ') [RSD] ' /proc/$p/stat 2>/dev/null; do sleep 0.1; n=$((n + 1)); done
           cat /proc/$p/stat 2>/dev/null
         done; true`,
        'sh',
        ...left,
      ],
    });
    t.notMatch(alive.stdout, /\) [RSD] /, 'zombies at most');
  });

  t.test('a program that ignores SIGTERM is killed', async (t) => {
    const { host } = await start(t);
    const argv = ['sh', '-c', 'trap "" TERM; while :; do sleep 0.1; done'] as const;
    await t.rejects(host.run({ argv: [...argv], timeoutSeconds: 1 }), {
      name: 'CommandError',
      reason: 'timeout',
    });
  });

  t.test('a program that kills itself is told apart from an exit code', async (t) => {
    const { host } = await start(t);
    await t.rejects(host.run({ argv: ['sh', '-c', 'echo last words >&2; kill -KILL $$'] }), {
      code: 'host/command-killed',
      reason: 'signal',
      what: /SIGKILL/,
      why: 'last words',
    });
  });

  t.test('only the last 8 MiB of an output are kept, whole characters', async (t) => {
    const { host } = await start(t);
    const { stdout } = await host.run({
      argv: ['sh', '-c', 'yes "äöü" | head -c 20000001; printf "the end"'],
    });
    t.ok(Buffer.byteLength(stdout) <= 8 * MIB);
    t.ok(Buffer.byteLength(stdout) > 8 * MIB - 8);
    t.match(stdout.slice(0, 8), /^[äöü\n]+$/);
    t.match(stdout, /the end$/);
  });

  t.test('the error carries the end of what the program said', async (t) => {
    const { host } = await start(t);
    await t.rejects(host.run({ argv: ['sh', '-c', 'seq 100 >&2; exit 7'] }), {
      name: 'CommandError',
      exitCode: 7,
      why: /^86\n(\d+\n)+100$/,
    });
  });

  t.test('much standard input goes through unchanged', async (t) => {
    const { host } = await start(t);
    const block = Buffer.alloc(MIB, 'holdfast');
    const source = Readable.from(Array.from({ length: 32 }, () => block));
    const { stdout } = await host.run({ argv: ['sha256sum'], stdin: source });
    const expected = createHash('sha256').update(Buffer.concat(Array(32).fill(block)));
    t.equal(stdout.split(' ')[0], expected.digest('hex'));
  });

  t.test('a program may end without reading its standard input', async (t) => {
    const { host } = await start(t);
    const stdin = Readable.from(Array.from({ length: 16 }, () => Buffer.alloc(MIB)));
    await t.rejects(host.run({ argv: ['sh', '-c', 'exit 3'], stdin }), {
      name: 'CommandError',
      exitCode: 3,
    });
    t.equal((await host.run({ argv: ['true'], stdin: 'x'.repeat(MIB) })).exitCode, 0);
  });

  t.test('the error of a source that fails is thrown', async (t) => {
    const { host } = await start(t);
    const source = Readable.from(
      (async function* () {
        yield 'half';
        throw new Error('the source broke');
      })(),
    );
    await t.rejects(host.run({ argv: ['cat'], stdin: source }), { message: 'the source broke' });
  });

  t.test('environment and working folder are those asked for', async (t) => {
    const { host, folder } = await start(t);
    const { stdout } = await host.run({
      argv: ['sh', '-c', 'printf "%s|%s|" "$GREETING" "$PWD"; [ -n "$PATH" ] && printf path'],
      env: { GREETING: "it's $HOME" },
      cwd: folder,
    });
    t.equal(stdout, `it's $HOME|${folder}|path`);
  });

  t.test('a missing working folder is said', async (t) => {
    const { host, folder } = await start(t);
    await t.rejects(host.run({ argv: ['true'], cwd: posix.join(folder, 'none') }), {
      name: 'CommandError',
    });
  });

  t.test('a service that the program leaves behind does not hold the call up', async (t) => {
    const { host } = await start(t);
    const { stdout } = await host.run({
      argv: ['sh', '-c', 'sleep 60 & echo $!'],
      timeoutSeconds: 30,
    });
    await host.run({ argv: ['kill', stdout.trim()] });
    t.match(stdout, /^\d+\n$/);
  });

  t.test('a full disk is said, and the old file stays', async (t) => {
    const { host, folder, owner } = await start(t);
    const disk = posix.join(folder, 'disk');
    await host.makeDirectory(disk, { mode: 0o755, ...owner });
    try {
      await host.run({ argv: ['mount', '-t', 'tmpfs', '-o', 'size=64k', 'holdfast', disk] });
    } catch (error) {
      t.comment(error);
      t.pass('a full disk', { skip: 'this machine lets nobody mount' });
      return;
    }
    try {
      const path = posix.join(disk, 'file');
      await host.write(path, 'old', { mode: 0o600, ...owner });
      await t.rejects(host.write(path, Buffer.alloc(MIB), { mode: 0o600, ...owner }), {
        code: 'host/disk-full',
        what: `cannot write ${path} on ${host.name}`,
      });
      t.equal(text(await host.read(path)), 'old');
      t.equal((await host.run({ argv: ['ls', '-A', disk] })).stdout, 'file\n', 'no leftover');
    } finally {
      await host.run({ argv: ['umount', disk] });
    }
  });

  t.test('links are not followed by stat and not through by remove', async (t) => {
    const { host, folder, owner } = await start(t);
    const [target, link] = [posix.join(folder, 'target'), posix.join(folder, 'link')];
    await host.write(posix.join(target, 'file'), 'x', { mode: 0o600, ...owner });
    await host.run({ argv: ['ln', '-s', target, link] });
    t.equal((await host.stat(link))?.type, 'other');
    await host.remove(link, { recursive: true });
    t.equal(await host.stat(link), undefined);
    t.strictSame(await host.list(target), ['file']);
  });

  t.test('a link is replaced, not written through', async (t) => {
    const { host, folder, owner } = await start(t);
    const [target, link] = [posix.join(folder, 'target'), posix.join(folder, 'link')];
    await host.write(target, 'theirs', { mode: 0o644, ...owner });
    await host.run({ argv: ['ln', '-s', target, link] });
    await host.write(link, 'ours', { mode: 0o600, ...owner });
    t.equal(text(await host.read(target)), 'theirs');
    t.equal((await host.stat(link))?.type, 'file');
  });

  t.test('leftovers of a killed write are hidden, and swept by a later one', async (t) => {
    const { host, folder, owner } = await start(t);
    const old = posix.join(folder, '.file.0123456789ab.holdfast-tmp');
    const fresh = posix.join(folder, '.file.ba9876543210.holdfast-tmp');
    await host.run({ argv: ['touch', '-d', '1 hour ago', old] });
    await host.run({ argv: ['touch', fresh] });
    await host.write(posix.join(folder, 'file'), 'x', { mode: 0o600, ...owner });
    t.strictSame(await host.list(folder), ['file']);
    t.equal(await host.stat(old), undefined);
    t.ok(await host.stat(fresh), 'somebody may be writing it right now');
  });
}

function text(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('utf8');
}
