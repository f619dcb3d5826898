import { deepEqual } from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { thisProcess } from '../../installer/apply/process-identity.ts';
import { uninstall } from '../../installer/apply/uninstall.ts';
import { DockerEngine } from '../../installer/engine/docker.ts';
import { isWell } from '../../installer/engine/is-well.ts';
import { LABELS } from '../../installer/model/labels.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { testImage } from '../support/test-image.ts';
import type { CrashPlatform } from './support/apply-platform.ts';
import { applyContext, applyOnce, type KillPoint } from './support/apply-process.ts';
import { ownBlock } from './support/own-block.ts';

// A sample on the real engine of what test/apply/crash.test.ts does at every effect of a fake one.

const engine = new DockerEngine();
t.teardown(() => engine.close());

async function freshPlatform(t: Test): Promise<CrashPlatform> {
  const platform: CrashPlatform = {
    root: t.testdir({}),
    project: `crash-${randomBytes(4).toString('hex')}`,
    image: await testImage(t),
    // Other tests have neighbouring ones, and servers have 10.213.
    subnet: `217.${await ownBlock('10.217', 256)}`,
    edge: 'one',
    app: 'one',
  };
  t.teardown(async () => {
    await uninstall(applyContext(platform, engine), {
      process: await thisProcess('test'),
      waitSeconds: 0,
      purge: true,
      images: false,
      confirm: async () => true,
    });
    const ours = { [LABELS.project]: platform.project };
    const left = [
      ...(await engine.containers(ours)),
      ...(await engine.networks(ours)),
      ...(await engine.volumes(ours)),
    ];
    deepEqual(left, [], 'purge leaves nothing of ours');
  });
  return platform;
}

/** Another process applies and is killed with -9. */
async function killedApply(platform: CrashPlatform, kill: KillPoint): Promise<string | null> {
  const program = join(import.meta.dirname, 'support/apply-process.ts');
  const child = spawn(process.execPath, [program, 'apply', JSON.stringify([platform, kill])], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  return signal;
}

async function containers({ project }: CrashPlatform) {
  const all = await engine.containers({ [LABELS.project]: project });
  return await Promise.all(
    all.map(async ({ id, name, labels, status }) => ({
      name,
      spec: labels[LABELS.spec],
      status,
      isWell: await isWell(engine, id),
    })),
  );
}

async function inside(platform: CrashPlatform, service: string, path: string): Promise<string> {
  const all = await engine.containers({ [LABELS.project]: platform.project });
  const found = all.find((one) => one.service === service);
  return (await engine.exec(found?.id ?? '', { argv: ['cat', path] })).stdout.trim();
}

async function checkWhole(t: Test, platform: CrashPlatform): Promise<void> {
  const states = await containers(platform);
  t.strictSame(
    states.map(({ name, status, isWell }) => `${name} ${status} ${isWell}`),
    ['app', 'db', 'edge'].map((name) => `${platform.project}-${name}-1 running true`),
  );
  t.equal(await inside(platform, 'edge', '/tmp/loaded'), platform.edge, 'the edge reloaded');
  t.equal(await inside(platform, 'app', '/tmp/app'), platform.app);
  const paths = pathsUnder(platform.root);
  const password = await readFile(`${paths.secrets}/DB_PASSWORD`, 'utf8');
  t.equal(await inside(platform, 'db', '/data/roles'), password, 'one password everywhere');
  const again = await applyOnce(platform);
  t.equal(again.result, 'unchanged', again.plan.operations.map(({ id }) => id).join(' '));
  t.strictSame(again.plan.drift, []);
}

const FIRST: readonly KillPoint[] = [
  { operation: 'store-secret:DB_PASSWORD', when: 'after' },
  { operation: 'compose-up:0', when: 'before' },
  { operation: 'compose-up:0', when: 'during' },
  { operation: 'provision:db-roles', when: 'before' },
  { operation: 'compose-up:1', when: 'during' },
  { operation: 'compose-up:2', when: 'after' },
];

for (const kill of FIRST) {
  t.test(`a first apply killed ${kill.when} ${kill.operation} converges`, async (t) => {
    const platform = await freshPlatform(t);
    t.equal(await killedApply(platform, kill), 'SIGKILL');
    await applyOnce(platform);
    await checkWhole(t, platform);
  });
}

const CHANGE: readonly KillPoint[] = [
  { operation: 'compose-up:1', when: 'before' },
  { operation: 'compose-up:1', when: 'during' },
  { operation: 'reload:edge', when: 'before' },
  { operation: 'reload:edge', when: 'after' },
];

t.test(
  'a change killed anywhere converges, and the data and the other containers stay',
  async (t) => {
    let platform = await freshPlatform(t);
    await applyOnce(platform);
    const marker = await inside(platform, 'db', '/data/marker');
    const [, db] = await containers(platform);
    for (const [index, kill] of CHANGE.entries()) {
      platform = { ...platform, app: `app-${index}`, edge: `edge-${index}` };
      t.equal(await killedApply(platform, kill), 'SIGKILL', `${kill.when} ${kill.operation}`);
      await applyOnce(platform);
      await checkWhole(t, platform);
      t.equal(await inside(platform, 'db', '/data/marker'), marker, 'the volume is the same');
      t.strictSame((await containers(platform))[1], db);
    }
  },
);
