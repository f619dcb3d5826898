import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { EdgeFile, withVerdicts } from '../../agent/replicas/edge-file.ts';
import {
  type EdgeState,
  edgeStateText,
  parseEdgeState,
  type ReplicaState,
} from '../../installer/model/edge-state.ts';

function stateOf(replicas: Readonly<Record<string, ReplicaState>>): EdgeState {
  return {
    version: 1,
    generation: 7,
    services: {
      web: {
        slot: 'a',
        port: 3000,
        replicas: Object.entries(replicas).map(([container, state]) => ({
          container,
          id: `id-${container}`,
          state,
        })),
      },
    },
  };
}

t.test('a verdict is written, with its reason, under a new number', async (t) => {
  const folder = t.testdir({ 'services.json': edgeStateText(stateOf({ a: 'up', b: 'up' })) });
  const file = new EdgeFile(folder);
  await file.write([{ id: 'id-b', state: 'out', reason: 'status 500' }]);
  t.match(file.read(), {
    generation: 8,
    services: { web: { replicas: [{ state: 'up' }, { state: 'out', reason: 'status 500' }] } },
  });
  await file.write([{ id: 'id-b', state: 'up' }]);
  t.strictSame(file.read(), { ...stateOf({ a: 'up', b: 'up' }), generation: 9 });
});

t.test('what is the same, drains or is not there is not touched', async (t) => {
  const state = stateOf({ a: 'up', b: 'draining' });
  const verdicts = [
    { id: 'id-a', state: 'up' },
    { id: 'id-b', state: 'up' },
    { id: 'id-c', state: 'out' },
  ] as const;
  t.equal(withVerdicts(state, verdicts), state);
  const folder = t.testdir({ 'services.json': edgeStateText(state) });
  await new EdgeFile(folder).write(verdicts);
  t.strictSame(new EdgeFile(folder).read(), state);
});

t.test('where nothing is routed, or the file is broken, nothing is made', async (t) => {
  const folder = t.testdir({});
  const file = new EdgeFile(folder);
  await file.write([{ id: 'id-a', state: 'out' }]);
  t.equal(file.read(), undefined);
  writeFileSync(`${folder}/services.json`, '{"version":1,"gen');
  await file.write([{ id: 'id-a', state: 'out' }]);
  t.equal(readFileSync(`${folder}/services.json`, 'utf8'), '{"version":1,"gen');
});

t.test('it waits for another writer, and keeps what that one wrote', async (t) => {
  const folder = t.testdir({ 'services.json': edgeStateText(stateOf({ a: 'up', b: 'up' })) });
  const path = `${folder}/services.json`;
  const other = spawn(
    'flock',
    ['--exclusive', `${path}.lock`, 'sh', '-c', 'echo held; read line'],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  await new Promise((resolve) => other.stdout.once('data', resolve));
  let isWritten = false;
  const writing = new EdgeFile(folder)
    .write([{ id: 'id-b', state: 'out', reason: 'sick' }])
    .then(() => {
      isWritten = true;
    });
  // The other one takes its time and writes a new replica before it gives the lock back.
  writeFileSync(path, edgeStateText(stateOf({ a: 'up', b: 'up', c: 'up' })));
  t.equal(isWritten, false);
  other.stdin.end('\n');
  await writing;
  const replicas = parseEdgeState(readFileSync(path, 'utf8'))?.services['web']?.replicas;
  t.strictSame(
    replicas?.map(({ container, state }) => `${container} ${state}`),
    ['a up', 'b out', 'c up'],
  );
});

t.test('two at once lose nothing', async (t) => {
  const names = Array.from({ length: 12 }, (_, index) => `r${index}`);
  const all = Object.fromEntries(names.map((name) => [name, 'up' as const]));
  const folder = t.testdir({ 'services.json': edgeStateText(stateOf(all)) });
  await Promise.all(
    names.map((name) => new EdgeFile(folder).write([{ id: `id-${name}`, state: 'out' }])),
  );
  const state = new EdgeFile(folder).read();
  t.equal(state?.generation, 7 + names.length);
  t.ok(state?.services['web']?.replicas.every((replica) => replica.state === 'out'));
});
