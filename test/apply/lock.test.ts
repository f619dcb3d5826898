import t from 'tap';
import { acquireLock, forceUnlock, lockOwner } from '../../installer/apply/lock.ts';
import type { ThisProcess } from '../../installer/apply/process-identity.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { MemoryHost } from '../support/memory-host.ts';
import { installCoreutils } from './coreutils.ts';
import { processOn, SERVER, TestClock } from './process.ts';

const paths = pathsUnder();

function server() {
  const host = new MemoryHost();
  installCoreutils(host);
  const clock = new TestClock();
  const acquire = (process: ThisProcess, waitSeconds = 0) =>
    acquireLock(host, paths, { process, clock, waitSeconds, command: 'holdfast apply' });
  return { host, clock, acquire };
}

t.test('a second holder is told who holds the lock, since when, and how to force it', async (t) => {
  const { acquire } = server();
  await acquire(processOn(SERVER, { who: 'ann@desk', pid: 7 }));
  await t.rejects(acquire(processOn(SERVER, { pid: 8, living: [7] })), {
    code: 'lock/held',
    why: 'ann@desk (process 7) runs `holdfast apply` since 2026-01-02T03:04:05.000Z',
    hint: /holdfast unlock --force/,
  });
});

t.test('the lock is free again after its release, and nothing of it is left', async (t) => {
  const { host, acquire } = server();
  const lock = await acquire(processOn(SERVER));
  await lock.release();
  t.strictSame(host.files.list(paths.state), []);
  await (await acquire(processOn(SERVER, { pid: 8, living: [100] }))).release();
});

t.test('a lock whose process ended on this run of the machine is taken over', async (t) => {
  const { host, acquire } = server();
  await acquire(processOn(SERVER, { pid: 7 }));
  const lock = await acquire(processOn(SERVER, { pid: 8, living: [] }));
  t.equal((await lockOwner(host, paths))?.pid, 8);
  await lock.release();
  t.strictSame(host.files.list(paths.state), []);
});

t.test('a lock from before a reboot is taken over, whatever runs under its pid now', async (t) => {
  const { host, acquire } = server();
  await acquire(processOn(SERVER, { pid: 7 }));
  const file = { mode: 0o444, uid: 0, gid: 0 };
  host.files.write('/proc/sys/kernel/random/boot_id', Buffer.from('boot-2\n'), file);
  const lock = await acquire(processOn('boot-2/7', { pid: 8, living: [7] }));
  await t.resolves(lock.assertHeld());
});

t.test('a holder on another machine is never judged by its pid', async (t) => {
  const { acquire } = server();
  await acquire(processOn('laptop/1', { pid: 7 }));
  await t.rejects(acquire(processOn(SERVER, { pid: 8, living: [] })), { code: 'lock/held' });
});

t.test('what killed attempts left beside the lock is swept', async (t) => {
  const { host, acquire } = server();
  host.crashAt({ effect: 2, when: 'after' });
  await t.rejects(acquire(processOn(SERVER, { pid: 7 })));
  host.effects.revive();
  t.equal(host.files.list(paths.state).length, 1, 'a candidate is left');
  await (await acquire(processOn(SERVER, { pid: 8 }))).release();
  t.strictSame(host.files.list(paths.state), []);
});

t.test('waiting takes the lock as soon as the holder lets go', async (t) => {
  const { clock, acquire } = server();
  const first = await acquire(processOn(SERVER, { pid: 7 }));
  const releases: Promise<void>[] = [];
  clock.onPause = () => releases.push(first.release());
  const second = await acquire(processOn(SERVER, { pid: 8, living: [7] }), 60);
  await Promise.all(releases);
  await t.resolves(second.assertHeld());
});

t.test('waiting ends with the holder named', async (t) => {
  const { acquire } = server();
  await acquire(processOn(SERVER, { pid: 7 }));
  await t.rejects(acquire(processOn(SERVER, { pid: 8, living: [7] }), 30), { code: 'lock/held' });
});

t.test('of two that find the same stale lock only one gets it', async (t) => {
  const { acquire } = server();
  await acquire(processOn(SERVER, { pid: 7 }));
  const living = { living: [8, 9] };
  const results = await Promise.allSettled([
    acquire(processOn(SERVER, { pid: 8, ...living })),
    acquire(processOn(SERVER, { pid: 9, ...living })),
  ]);
  t.strictSame(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
});

t.test('whoever breaks a stale lock may be killed before any step of it', async (t) => {
  let effect = 1;
  for (; ; effect += 1) {
    const { host, acquire } = server();
    await acquire(processOn(SERVER, { pid: 7 }));
    host.crashAt({ effect, when: 'before' });
    const broken = await acquire(processOn(SERVER, { pid: 8 })).catch(() => undefined);
    host.effects.revive();
    if (broken !== undefined) break;
    const lock = await acquire(processOn(SERVER, { pid: 9 }));
    t.equal((await lockOwner(host, paths))?.pid, 9);
    await lock.release();
    t.strictSame(host.files.list(paths.state), [], `killed before change ${effect}`);
  }
  t.ok(effect > 6, `${effect} places to be killed at`);
});

t.test('while somebody breaks a stale lock, others are told who', async (t) => {
  const { host, acquire } = server();
  await acquire(processOn(SERVER, { pid: 7 }));
  const { token } = JSON.parse(host.files.text(paths.applyLock) ?? '') as { token: string };
  const right = `${paths.applyLock}.stale-${token}`;
  const breaker = { ...JSON.parse(host.files.text(paths.applyLock) ?? ''), pid: 8, token: 'b' };
  const file = { mode: 0o644, uid: 0, gid: 0 };
  host.files.write(right, Buffer.from(JSON.stringify(breaker)), file);
  await t.rejects(acquire(processOn(SERVER, { pid: 9, living: [8] })), {
    code: 'lock/held',
    why: /process 8/,
  });
  t.equal((await lockOwner(host, paths))?.pid, 7, 'nobody but the breaker removes it');
  await t.resolves(acquire(processOn(SERVER, { pid: 9, living: [] })));
});

t.test(
  'a lock that cannot be read goes by force, and beside it nothing is in the way',
  async (t) => {
    const { host, acquire } = server();
    const file = { mode: 0o644, uid: 0, gid: 0 };
    host.files.write(paths.applyLock, Buffer.from('{'), file);
    await t.rejects(acquire(processOn(SERVER)), {
      code: 'lock/unreadable',
      hint: /unlock --force/,
    });
    await forceUnlock(host, paths);
    host.files.write(`${paths.applyLock}.x`, Buffer.from('{'), file);
    await t.resolves(acquire(processOn(SERVER)));
  },
);

t.test(
  'a lock that was taken away by force is noticed, and not released for the new holder',
  async (t) => {
    const { host, acquire } = server();
    const first = await acquire(processOn(SERVER, { pid: 7 }));
    t.equal((await forceUnlock(host, paths))?.pid, 7);
    const second = await acquire(processOn(SERVER, { pid: 8, living: [7] }));
    await t.rejects(first.assertHeld(), { code: 'lock/lost', why: /process 8/ });
    await first.release();
    await second.assertHeld();
  },
);
