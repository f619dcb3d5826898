import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  type EdgeContext,
  edgeStatePath,
  readEdgeState,
  updateEdgeState,
} from '../../installer/engine/edge-state.ts';
import { LocalHost } from '../../installer/host/local.ts';
import {
  type EdgeState,
  edgeStateText,
  parseEdgeState,
  STARTING,
  withActive,
  withOnly,
  withStarted,
  withVerdict,
} from '../../installer/model/edge-state.ts';
import { LABELS } from '../../installer/model/labels.ts';
import { FakeEngine } from '../support/fake-engine.ts';

const IMAGE = 'registry.example/api:1';

function container(engine: FakeEngine, slot: 'a' | 'b', number: number): string {
  engine.addImage(IMAGE);
  const { id } = engine.create({
    name: `demo-api_${slot}-${number}`,
    service: 'api',
    image: IMAGE,
    labels: { [LABELS.project]: 'demo', [LABELS.slot]: slot },
    checked: false,
    memoryLimit: 0,
    networks: [],
  });
  engine.start(id);
  return id;
}

/** A real machine's file and lock, and an engine in memory. */
async function server(t: Test): Promise<EdgeContext & { readonly engine: FakeEngine }> {
  const edge = join(t.testdir({}), 'edge');
  await mkdir(edge);
  return { host: new LocalHost(), engine: new FakeEngine(), paths: { edge }, project: 'demo' };
}

const active = (slot: 'a' | 'b') => (state: EdgeState) =>
  withActive(state, 'api', { slot, port: 3000 });

function listed(state: EdgeState): string[] {
  return (state.services['api']?.replicas ?? []).map(({ container: name, state: is }) =>
    `${name} ${is}`.replace('demo-api_', ''),
  );
}

t.test('the list follows the containers of the slot that serves', async (t) => {
  const context = await server(t);
  const gone = container(context.engine, 'a', 1);
  container(context.engine, 'a', 2);
  container(context.engine, 'b', 1);
  const first = await updateEdgeState(context, active('a'));
  t.strictSame([first.generation, listed(first)], [1, ['a-1 up', 'a-2 up']]);
  t.strictSame(await readEdgeState(context), first);
  t.strictSame(await updateEdgeState(context), first, 'nothing new is not written');
  context.engine.remove(gone);
  t.strictSame(listed(await updateEdgeState(context)), ['a-2 up']);
  const switched = await updateEdgeState(context, active('b'));
  t.strictSame([switched.generation, listed(switched)], [3, ['b-1 up']]);
  const none = await updateEdgeState(context, (state) => withOnly(state, ['web']));
  t.strictSame(none.services, {});
});

t.test('a verdict stays with its container, not with its name', async (t) => {
  const context = await server(t);
  const sick = container(context.engine, 'a', 1);
  container(context.engine, 'a', 2);
  await updateEdgeState(context, active('a'));
  const judge = (state: 'out' | 'up') =>
    updateEdgeState(context, (before) =>
      withVerdict(before, 'demo-api_a-1', state === 'out' ? { state, reason: 'sick' } : { state }),
    );
  const out = await judge('out');
  t.match(out.services['api']?.replicas, [{ state: 'out', reason: 'sick' }, { state: 'up' }]);
  t.strictSame(await updateEdgeState(context, active('a')), out, 'an apply keeps it');
  t.notOk((await judge('up')).services['api']?.replicas[0]?.reason, 'a reason goes with its cause');
  await judge('out');
  context.engine.remove(sick);
  container(context.engine, 'a', 1);
  const late = await updateEdgeState(context);
  t.match(late.services['api']?.replicas, [{ state: 'out', reason: STARTING }, { state: 'up' }]);
  const seen = await updateEdgeState(context, (state) => withStarted(state, 'api'));
  t.strictSame(
    listed(seen),
    ['a-1 up', 'a-2 up'],
    'one that came late is in once it was seen healthy',
  );
});

t.test('of writers at the same time, none is lost', async (t) => {
  const context = await server(t);
  for (let number = 1; number <= 8; number += 1) container(context.engine, 'a', number);
  await updateEdgeState(context, active('a'));
  await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      updateEdgeState(context, (state) =>
        withVerdict(state, `demo-api_a-${index + 1}`, { state: 'out', reason: `by ${index}` }),
      ),
    ),
  );
  const end = await readEdgeState(context);
  t.equal(end.generation, 9);
  t.ok(end.services['api']?.replicas.every(({ state }) => state === 'out'));
  t.strictSame((await readdir(context.paths.edge)).sort(), ['services.json', 'services.json.lock']);
});

t.test('a writer that dies holding the lock stops nobody', async (t) => {
  const context = await server(t);
  container(context.engine, 'a', 1);
  const lock = `${edgeStatePath(context.paths)}.lock`;
  const holder = spawn('flock', ['--exclusive', '--no-fork', lock, 'sleep', '60']);
  await once(holder, 'spawn');
  const waiting = updateEdgeState(context, active('a'));
  holder.kill('SIGKILL');
  t.strictSame(listed(await waiting), ['a-1 up']);
});

t.test('a file that is no state is left to nginx until somebody says what is routed', async (t) => {
  const context = await server(t);
  container(context.engine, 'a', 1);
  const path = edgeStatePath(context.paths);
  await writeFile(path, '{"version":1,');
  await updateEdgeState(context);
  t.equal(await readFile(path, 'utf8'), '{"version":1,');
  t.strictSame(listed(await updateEdgeState(context, active('a'))), ['a-1 up']);
});

t.test('only a whole state counts', async (t) => {
  const good: EdgeState = {
    version: 1,
    generation: 4,
    services: { b: { slot: 'a', port: 1, replicas: [{ container: 'x', id: 'y', state: 'up' }] } },
  };
  t.strictSame(parseEdgeState(edgeStateText(good)), good);
  const bad = [
    'null',
    '[]',
    '{"version":2,"generation":1,"services":{}}',
    '{"version":1,"generation":1.5,"services":{}}',
    '{"version":1,"generation":1,"services":{"b":{"slot":"c","port":1,"replicas":[]}}}',
    '{"version":1,"generation":1,"services":{"b":{"slot":"a","port":"1","replicas":[]}}}',
    '{"version":1,"generation":1,"services":{"b":{"slot":"a","port":1,"replicas":[{"container":"x"}]}}}',
  ];
  for (const text of bad) t.equal(parseEdgeState(text), undefined, text);
});
