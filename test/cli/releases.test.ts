import { mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { servingImages, wayBack } from '../../installer/cli/releases.ts';
import { commandTable } from '../../installer/cli/table.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { EMPTY_EDGE_STATE } from '../../installer/model/edge-state.ts';
import {
  EMPTY_LOCK,
  type LockedImage,
  type PreviousRelease,
} from '../../installer/model/lock-file.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import type { ObservedContainer } from '../../installer/plan/observed.ts';
import { runCommand } from '../support/cli.ts';
import { FakeEngine } from '../support/fake-engine.ts';

const release = (version: string, withdrawn = false): PreviousRelease => ({
  reference: `acme/web:${version}@sha256:${version.repeat(64)}`,
  version,
  source: 'registry',
  ...(withdrawn && { withdrawn }),
});

function world(
  current: string,
  previous: readonly PreviousRelease[],
  more: Partial<LockedImage> = {},
) {
  const { reference, version, source } = release(current);
  const locked: LockedImage = { reference, version, source, wish: 'acme/web:1', previous, ...more };
  return {
    lock: { ...EMPTY_LOCK, services: { web: locked } },
    edge: EMPTY_EDGE_STATE,
    containers: [
      { service: 'web', slot: 'a', running: true, image: reference } as ObservedContainer,
    ],
  };
}

t.test('each rollback goes one release further back', async (t) => {
  t.equal(wayBack(world('4', [release('3'), release('2')]), 'web'), release('3').reference);
  const second = world('3', [release('4', true), release('2')], { rolledBack: true });
  t.equal(wayBack(second, 'web'), release('2').reference);
  const last = world('2', [release('3', true), release('4', true)], { rolledBack: true });
  t.throws(() => wayBack(last, 'web'), {
    code: 'usage/no-previous-release',
    why: /web:2@.*serves[\s\S]*web:3@.*left it[\s\S]*web:4@/,
    hint: 'holdfast rollback web IMAGE, with one of these',
  });
  t.throws(() => wayBack(world('1', []), 'web'), {
    code: 'usage/no-previous-release',
    hint: 'holdfast deploy web IMAGE',
  });
});

t.test('one that was killed before it served is finished', async (t) => {
  const killed = world('3', [release('4', true), release('2')], { rolledBack: true });
  const [container] = killed.containers;
  if (container === undefined) throw new Error('no container');
  const containers = [{ ...container, image: release('4').reference }];
  t.equal(wayBack({ ...killed, containers }, 'web'), release('3').reference);
});

t.test('what serves is what stands in the slot that nginx leads to', async (t) => {
  const container = (service: string, slot: string, image: string) =>
    ({ service, slot, image, running: true }) as ObservedContainer;
  const services = { web: { slot: 'b', replicas: [] } } as const;
  t.strictSame(
    servingImages({
      edge: { ...EMPTY_EDGE_STATE, services },
      containers: [
        container('web', 'a', 'acme/web:2'),
        container('web', 'b', 'acme/web:1'),
        container('mongo', 'a', 'mongo:8'),
      ],
    }),
    { web: 'acme/web:1', mongo: 'mongo:8' },
  );
});

t.test('a release is named by its image or its version', async (t) => {
  const all = world('4', [release('3', true), release('2')]);
  for (const name of ['3', 'acme/web:3', release('3').reference]) {
    t.equal(wayBack(all, 'web', name), release('3').reference, name);
  }
  t.throws(() => wayBack(all, 'web', '9'), {
    code: 'usage/no-such-release',
    why: /web:3@[\s\S]*web:2@/,
  });
  t.throws(() => wayBack(all, 'web', '4'), { code: 'usage/no-such-release' }, 'it serves');
  const moved = { ...release('3'), reference: `acme/web:3@sha256:${'f'.repeat(64)}` };
  t.throws(() => wayBack(world('4', [release('3'), moved]), 'web', '3'), {
    code: 'usage/no-such-release',
    what: /more than one/,
  });
});

t.test('the rollback of a site follows its options', async (t) => {
  const root = t.testdir({
    etc: {
      holdfast: {
        'config.yaml': `version: 1
domain: app.example.com
contact: ops@example.com
sites: { web: { artifact: ./dist, hosts: [app.example.com] } }
`,
      },
    },
  });
  const paths = pathsUnder(root);
  const site = join(paths.sites, 'web');
  for (const release of ['one', 'two']) {
    mkdirSync(join(site, 'releases', release), { recursive: true });
  }
  symlinkSync('releases/two', join(site, 'current'));
  symlinkSync('releases/one', join(site, 'previous'));
  mkdirSync(join(paths.stack, 'agent'), { recursive: true });
  writeFileSync(join(paths.stack, 'agent/agent.json'), '{ "project": "app" }');
  const server = { host: new LocalHost(), engine: new FakeEngine() };
  const run = (...more: string[]) =>
    runCommand(['rollback', 'web', '--yes', ...more], commandTable, { server, more: { paths } });
  t.equal((await run('--wait', 'never')).exitCode, 2);
  t.match((await run('--config', join(root, 'absent.yaml'))).stderr, /absent\.yaml/);
  t.equal(readlinkSync(join(site, 'current')), 'releases/two', 'nothing was switched');
  const { exitCode, stdout, stderr } = await run('--json');
  t.equal(exitCode, 0, stderr);
  t.strictSame(JSON.parse(stdout), { version: 1, site: 'web', from: 'two', release: 'one' });
  t.equal(readlinkSync(join(site, 'current')), 'releases/one');
});
