import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { appendAudit, readAudit } from '../../installer/apply/audit.ts';
import { SYSTEM_CLOCK } from '../../installer/apply/context.ts';
import { freeSpace } from '../../installer/apply/disk.ts';
import { hostFacts } from '../../installer/apply/facts.ts';
import { acquireLock, lockOwner } from '../../installer/apply/lock.ts';
import { hashFiles, inspectPaths } from '../../installer/apply/observe-files.ts';
import { thisProcess } from '../../installer/apply/process-identity.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

// The programs of a real machine answer as the ones of the memory host do.
const host = new LocalHost();

t.test('types, modes and hashes come from the real programs', async (t) => {
  const folder = t.testdir({ plain: 'text', 'with space\nand line': 'more' });
  const at = (name: string) => join(folder, name);
  await chmod(at('plain'), 0o640);
  await symlink(at('plain'), at('link'));
  await promisify(execFile)('mkfifo', [at('pipe')]);
  const paths = ['plain', 'with space\nand line', 'link', 'pipe', 'missing', ''].map(at);
  const found = await inspectPaths(host, paths);
  t.match(found.get(at('plain')), { type: 'file', mode: 0o640, size: 4 });
  t.equal(found.get(at('link'))?.type, 'other');
  t.equal(found.get(at('pipe'))?.type, 'other');
  t.equal(found.get(at(''))?.type, 'directory');
  t.equal(found.has(at('missing')), false);
  const hashes = await hashFiles(host, [at('plain'), at('with space\nand line'), at('missing')]);
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  t.strictSame(
    hashes,
    new Map([
      [at('plain'), sha256('text')],
      [at('with space\nand line'), sha256('more')],
    ]),
  );
});

t.test('more paths than fit into one command line are asked for in several', async (t) => {
  const folder = t.testdir({});
  const deep = join(folder, 'x'.repeat(200));
  await mkdir(deep);
  const paths = Array.from({ length: 700 }, (_, index) => join(deep, `file-${index}`));
  await Promise.all(paths.map((path) => writeFile(path, path)));
  t.equal((await hashFiles(host, paths)).size, 700);
  t.equal((await inspectPaths(host, paths)).size, 700);
});

t.test('the facts of this machine are plausible', async (t) => {
  const facts = await hostFacts(host);
  t.ok(facts.memoryBytes > 64 * 1024 ** 2 && facts.cores >= 1);
  t.match(facts.distribution.id, /./);
});

t.test(
  'free space is that of the file system, also below a folder that is not there yet',
  async (t) => {
    const folder = t.testdir({});
    const here = await freeSpace(host, folder);
    t.ok(here.free > 0);
    t.equal((await freeSpace(host, join(folder, 'not/there/yet'))).mount, here.mount);
  },
);

t.test('audit lines are appended, not rewritten', async (t) => {
  const paths = { ...pathsUnder(t.testdir({})), audit: join(t.testdir({}), 'audit.log') };
  const path = paths.audit;
  const entry = {
    ...{
      who: 'ann',
      when: '2026-01-02T03:04:05.000Z',
      command: 'holdfast apply',
      configDigest: '',
    },
    ...{ operations: [], planned: 0, result: 'done' as const, seconds: 1 },
  };
  await appendAudit(host, paths, entry);
  const first = await readFile(path, 'utf8');
  await appendFile(path, '{"torn');
  await appendAudit(host, paths, entry);
  const text = await readFile(path, 'utf8');
  t.ok(text.startsWith(first));
  t.strictSame(readAudit(text).entries.length, 2);
});

t.test('of many that want the lock at the same moment exactly one gets it', async (t) => {
  const paths = pathsUnder(t.testdir({}));
  const process = await thisProcess('test');
  const results = await Promise.allSettled(
    Array.from({ length: 8 }, () =>
      acquireLock(host, paths, { process, clock: SYSTEM_CLOCK, waitSeconds: 0, command: 'test' }),
    ),
  );
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  t.strictSame(await host.list(paths.state), ['apply.lock']);
});

t.test(
  'the lock of a process that was killed with -9 is taken over, that of a living one is not',
  async (t) => {
    const root = t.testdir({});
    const paths = pathsUnder(root);
    const holder = await holderOf(root);
    const request = {
      ...{
        process: await thisProcess('test'),
        clock: SYSTEM_CLOCK,
        waitSeconds: 0,
        command: 'test',
      },
    };
    await t.rejects(acquireLock(host, paths, request), {
      code: 'lock/held',
      why: new RegExp(`process ${holder.pid}\\)`),
    });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    const lock = await acquireLock(host, paths, request);
    t.equal((await lockOwner(host, paths))?.pid, process.pid);
    await lock.release();
    t.strictSame(await host.list(paths.state), []);
  },
);

/** Another process that holds the lock until it is killed. */
async function holderOf(root: string): Promise<ChildProcess> {
  const program = `
    import { SYSTEM_CLOCK } from '${import.meta.dirname}/../../installer/apply/context.ts';
    import { acquireLock } from '${import.meta.dirname}/../../installer/apply/lock.ts';
    import { thisProcess } from '${import.meta.dirname}/../../installer/apply/process-identity.ts';
    import { LocalHost } from '${import.meta.dirname}/../../installer/host/local.ts';
    import { pathsUnder } from '${import.meta.dirname}/../../installer/model/paths.ts';
    await acquireLock(new LocalHost(), pathsUnder(${JSON.stringify(root)}), {
      process: await thisProcess('holder'), clock: SYSTEM_CLOCK, waitSeconds: 0, command: 'hold',
    });
    console.log('held');
    setInterval(() => undefined, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}
