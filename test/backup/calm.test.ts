import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { calmDown } from '../../installer/backup/calm.ts';
import type { BackupContext } from '../../installer/backup/context.ts';
import { AppError } from '../../installer/errors.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

/** One container whose state stands in a file, and a `docker` that changes it: the guardian is a process of its own. */
function world(t: Test) {
  const folder = t.testdir({ bin: {}, state: 'running\n', log: '' });
  const file = (name: string) => join(folder, name);
  const docker = file('bin/docker');
  writeFileSync(
    docker,
    `#!/bin/sh
cd '${folder}' || exit
echo "$*" >>log
case $1 in
  ps) echo abc ;;
  pause) echo paused >state ;;
  unpause) if rm refuses 2>/dev/null; then echo no >&2; exit 1; fi; echo running >state ;;
  inspect) if grep -q paused state; then echo true; else echo false; fi ;;
esac
`,
  );
  chmodSync(docker, 0o755);
  const path = process.env['PATH'];
  process.env['PATH'] = `${file('bin')}:${path}`;
  t.teardown(() => {
    process.env['PATH'] = path;
  });
  const state = () => readFileSync(file('state'), 'utf8').trim();
  const engine = {
    answers: true,
    containers: async () => {
      if (engine.answers) {
        return [{ id: 'abc', name: 'app-db-1', service: 'db', labels: {}, status: state() }];
      }
      throw new AppError({ code: 'engine/unreachable', what: 'no answer', hint: 'wait' });
    },
  };
  const paths = pathsUnder(file('root'));
  const settings = { project: 'app', jobs: [] };
  const context = { host: new LocalHost(), engine, paths, settings } as unknown as BackupContext;
  const source = { kind: 'volume', name: 'db', volume: 'app_db', service: 'db' } as const;
  const journal = join(paths.agent, 'calm', 'files.json');
  const log = () => readFileSync(file('log'), 'utf8');
  return { context, engine, source, state, journal, file, log };
}

t.test('one that we cannot wake is woken by the guardian', async (t) => {
  const { context, engine, source, state, journal, log } = world(t);
  const { wake } = await calmDown(
    context,
    { ...source, calm: { pause: true, after: ['thaw'] } },
    'files',
  );
  t.equal(state(), 'paused');
  engine.answers = false;
  await t.rejects(wake(), { code: 'engine/unreachable' });
  t.equal(state(), 'running');
  t.match(log(), /^exec abc thaw$/m);
  t.ok(existsSync(journal), 'the next run looks again');
});

t.test('an unpause that fails once is tried again', async (t) => {
  const { context, source, state, file } = world(t);
  const { wake } = await calmDown(context, { ...source, calm: { pause: true } }, 'files');
  writeFileSync(file('refuses'), '');
  await t.rejects(wake(), { code: 'backup/not-awake' });
  t.equal(state(), 'running');
});

t.test('the guardian does nothing where we did it', async (t) => {
  const { context, source, state, journal, log } = world(t);
  const { wake } = await calmDown(
    context,
    { ...source, calm: { pause: true, after: ['thaw'] } },
    'files',
  );
  await wake();
  t.equal(state(), 'running');
  t.equal(
    log()
      .split('\n')
      .filter((line) => line === 'exec abc thaw').length,
    1,
  );
  t.notOk(existsSync(journal));
});

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error('never happened');
    await delay(50);
  }
}

t.test('a pause ends at its limit, whoever hangs, and what was read does not count', async (t) => {
  const { context, source, state } = world(t);
  const calm = { pause: true, pauseSeconds: 1 };
  const { wake, assertStill } = await calmDown(context, { ...source, calm }, 'files');
  await until(() => state() === 'running');
  t.throws(assertStill, { code: 'backup/not-calm', hint: /pauseLimit/ });
  await wake();
});

t.test('the guardian ends it when we cannot', async (t) => {
  const { context, engine, source, state, log } = world(t);
  const calm = { pause: true, pauseSeconds: 1 };
  const { containers } = engine;
  let answer = (): void => undefined;
  // Who looks while it is paused gets no answer.
  engine.containers = async () => {
    if (state() === 'paused') {
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
    }
    return await containers();
  };
  const { wake } = await calmDown(context, { ...source, calm }, 'files');
  await until(() => state() === 'running');
  t.match(log(), /^unpause abc$/m);
  answer();
  await wake();
});

t.test('within its limit it counts', async (t) => {
  const { context, source, state } = world(t);
  const calm = { pause: true, pauseSeconds: 3600 };
  const { wake, assertStill } = await calmDown(context, { ...source, calm }, 'files');
  t.doesNotThrow(assertStill);
  t.equal(state(), 'paused');
  await wake();
});
