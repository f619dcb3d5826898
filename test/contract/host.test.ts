import { posix } from 'node:path';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { LocalHost } from '../../installer/host/local.ts';
import { MemoryHost } from '../support/memory-host.ts';
import { hostProgramsSuite } from './host-programs-suite.ts';
import { hostSuite } from './host-suite.ts';

t.test('MemoryHost', async (t) => {
  hostSuite(t, async () => {
    const host = new MemoryHost();
    host.on(['cat'], ({ stdin }) => ({ stdout: stdin.toString() }));
    host.on(['false'], () => ({ exitCode: 1 }));
    host.on(['printf'], ({ rest: [format, ...words] }) => ({
      stdout: format === '[%s]' ? words.map((word) => `[${word}]`).join('') : (format ?? ''),
    }));
    host.files.makeDirectory('/work', { mode: 0o755, uid: 0, gid: 0 });
    return { host, folder: '/work', owner: { uid: 1234, gid: 4321 } };
  });
});

t.test('LocalHost', async (t) => {
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  const start = async (t: Test) => ({
    host: new LocalHost(),
    folder: t.testdir({}),
    owner: uid === 0 ? { uid: 1234, gid: 4321 } : { uid, gid },
  });
  hostSuite(t, start);
  hostProgramsSuite(t, start);
});

t.test('on this machine a source that fails does not look like its end', async (t) => {
  const host = new LocalHost();
  const mark = posix.join(t.testdir({}), 'finished');
  const source = Readable.from(
    (async function* () {
      yield 'half';
      throw new Error('the source broke');
    })(),
  );
  const argv = ['sh', '-c', 'cat >/dev/null && echo >"$1"', 'sh', mark] as const;
  await t.rejects(host.run({ argv: [...argv], stdin: source }), { message: 'the source broke' });
  t.equal(await host.stat(mark), undefined);
});
