import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import t from 'tap';
import { isServerChanging } from '../../agent/changing.ts';
import { SYSTEM_CLOCK } from '../../installer/apply/context.ts';
import { acquireLock, type LockOwner } from '../../installer/apply/lock.ts';
import { thisProcess } from '../../installer/apply/process-identity.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

t.test('the agent knows the lock of a living holder, and no other', async (t) => {
  const paths = pathsUnder(t.testdir({}));
  t.notOk(isServerChanging(paths.applyLock));
  const lock = await acquireLock(new LocalHost(), paths, {
    process: await thisProcess('test'),
    clock: SYSTEM_CLOCK,
    waitSeconds: 0,
    command: 'test',
  });
  t.ok(isServerChanging(paths.applyLock));

  const ended = spawn('true');
  await once(ended, 'exit');
  const owner = JSON.parse(await readFile(paths.applyLock, 'utf8')) as LockOwner;
  const as = (change: Partial<LockOwner>) =>
    writeFile(paths.applyLock, JSON.stringify({ ...owner, ...change }));
  await as({ pid: ended.pid ?? 0 });
  t.notOk(isServerChanging(paths.applyLock), 'killed');
  await as({ pid: ended.pid ?? 0, machine: 'laptop/1' });
  t.ok(isServerChanging(paths.applyLock), 'over SSH: cannot be told');
  await as({ server: 'another run of this machine' });
  t.notOk(isServerChanging(paths.applyLock), 'from before a reboot');

  await as({});
  await lock.release();
  t.notOk(isServerChanging(paths.applyLock));
});
