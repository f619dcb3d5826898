import t from 'tap';
import { planExitCode, planJson } from '../../installer/cli/plan.ts';
import { type ReplicaState, STARTING } from '../../installer/model/edge-state.ts';
import type { StackService, UpdatableSettings } from '../../installer/model/stack.ts';
import { makePlan } from '../../installer/plan/diff.ts';
import type { ObservedContainer } from '../../installer/plan/observed.ts';
import { startOrder } from '../../installer/plan/services.ts';
import { planText } from '../../installer/plan/text.ts';
import { desiredFile, desiredWith, observedFiles, observedWith } from '../support/desired.ts';

const MEMORY = 64 * 1024 ** 2;

function service(more: Partial<StackService> = {}): StackService {
  return {
    image: 'demo:1',
    networks: {},
    healthcheck: { test: ['NONE'] },
    mem_limit: MEMORY,
    ...more,
  };
}

function container(name: string, more: Partial<ObservedContainer> = {}): ObservedContainer {
  return {
    id: `id-of-${name}`,
    name: `demo-${name}-1`,
    service: name,
    slot: 'a',
    spec: `spec-${name}`,
    image: 'demo:1',
    imageId: 'sha256:1',
    running: true,
    atRest: false,
    healthy: true,
    memoryLimit: MEMORY,
    networks: [],
    ...more,
  };
}

function stackOf(services: Record<string, StackService>) {
  return {
    stack: { project: 'demo', services, networks: {}, volumes: {} },
    specs: new Map(Object.keys(services).map((name) => [name, `spec-${name}`])),
  };
}

t.test('a server as desired needs nothing', async (t) => {
  const file = desiredFile('/s/a.conf', 'a\n');
  const desired = desiredWith({ fileList: [file], ...stackOf({ web: service() }) });
  const observed = observedWith({
    ...observedFiles([file]),
    containers: [container('web')],
    images: new Map([['demo:1', 'sha256:1']]),
  });
  const plan = makePlan(desired, observed);
  t.strictSame(plan.operations, []);
  t.equal(planText(plan), 'Nothing to do: the server is as the config says.\n');
});

t.test(
  'a plan that apply would refuse says so, and does not say that nothing is to do',
  async (t) => {
    const file = desiredFile('/s/a.conf', 'a\n');
    const desired = desiredWith({ fileList: [file] });
    const byHand = { ...file, content: 'by hand\n' };
    const { files } = observedFiles([byHand]);
    const { manifest } = observedFiles([file]);
    const observed = observedWith({ files, manifest });
    const plan = makePlan(desired, observed);
    t.strictSame(plan.operations, []);
    t.match(planText(plan), /holdfast apply --adopt/);
    t.notMatch(planText(plan), /Nothing to do/);
    t.match(planJson(plan), { changes: true, blocked: true });
    t.equal(planExitCode(plan), 10);
    const adopting = makePlan(desired, observed, { overwriteDrift: true });
    t.notMatch(planText(adopting), /Blocked/);
    t.match(planJson(adopting), { changes: true, blocked: false });
    const settled = makePlan(desired, observedWith(observedFiles([file])));
    t.match(planJson(settled), { changes: false, blocked: false });
    t.equal(planExitCode(settled), 0);
  },
);

t.test('the plan of a bare server, as text', async (t) => {
  const desired = desiredWith({
    fileList: [
      desiredFile('/s/a.conf', 'one\ntwo\n', { onChange: [{ kind: 'reload', service: 'web' }] }),
      desiredFile('/s/key', 'hunter2-hunter2', { secret: true, mode: 0o600 }),
    ],
    ...stackOf({
      web: service({ depends_on: { db: { condition: 'service_healthy' } } }),
      db: service(),
    }),
    provisions: [
      {
        id: 'db:roles',
        service: 'db',
        argv: ['psql'],
        stdin: 'SECRET SQL',
        digest: '1',
        summary: 'role web',
      },
    ],
    images: new Map([['demo:1', { kind: 'pull' }]]),
  });
  const text = planText(makePlan(desired, observedWith()));
  t.equal(
    text,
    [
      '+ image demo:1 pulled (not on this machine yet)',
      '+ file /s/a.conf (new)',
      '    --- /dev/null',
      '    +++ /s/a.conf',
      '    @@ -0,0 +1,2 @@',
      '    +one',
      '    +two',
      '+ file /s/key (content changed, secret)',
      '+ service db: create (new)',
      '~ provision db:roles: role web',
      '+ service web: create (new)',
      '6 operations: 2 files written, 2 services created.',
      '',
    ].join('\n'),
  );
  t.notMatch(text, /hunter2|SECRET/, 'no secret stands in a plan');
});

t.test('a changed file reloads its running service and touches nothing else', async (t) => {
  const before = desiredFile('/s/a.conf', 'one\n');
  const after = desiredFile('/s/a.conf', 'two\n', {
    onChange: [{ kind: 'reload', service: 'web' }],
  });
  const plan = makePlan(
    desiredWith({ fileList: [after], ...stackOf({ web: service(), db: service() }) }),
    observedWith({ ...observedFiles([before]), containers: [container('web'), container('db')] }),
  );
  t.strictSame(
    plan.operations.map(({ id, impact }) => [id, impact]),
    [
      ['write-file:/s/a.conf', 'none'],
      ['reload:web', 'reload'],
    ],
  );
});

t.test('what nginx leads to is there before the files that lead to it', async (t) => {
  const before = [
    desiredFile('/s/nginx/a.conf', 'old\n', { onChange: [{ kind: 'reload', service: 'nginx' }] }),
    desiredFile('/s/b.conf', 'old\n', { onChange: [{ kind: 'reload', service: 'web' }] }),
  ];
  const after = before.map((file) => ({ ...file, content: 'new\n' }));
  const running = ['nginx', 'web'];
  const observed = observedWith({
    ...observedFiles(before),
    containers: running.map((name) => container(name)),
    images: new Map([['demo:1', 'sha256:1']]),
  });
  const ordered = (stack: ReturnType<typeof stackOf>): string[] =>
    makePlan(desiredWith({ fileList: after, ...stack }), observed).operations.map(({ id }) => id);
  const stack = stackOf({ nginx: service(), web: service(), store: service() });
  t.strictSame(ordered(stack), [
    'write-file:/s/b.conf',
    'compose-up:0',
    'write-file:/s/nginx/a.conf',
    'reload:nginx',
    'reload:web',
  ]);
  const another = { ...stack, specs: new Map([...stack.specs, ['nginx', 'another']]) };
  t.strictSame(
    ordered(another).slice(0, 2),
    ['write-file:/s/b.conf', 'write-file:/s/nginx/a.conf'],
    'where nginx itself starts anew, it has them',
  );
});

t.test('a service that is recreated is not reloaded as well', async (t) => {
  const before = desiredFile('/s/a.conf', 'one\n');
  const after = desiredFile('/s/a.conf', 'two\n', {
    onChange: [{ kind: 'reload', service: 'web' }],
  });
  const plan = makePlan(
    desiredWith({ fileList: [after], ...stackOf({ web: service() }) }),
    observedWith({ ...observedFiles([before]), containers: [container('web', { spec: 'older' })] }),
  );
  t.strictSame(
    plan.operations.map(({ id }) => id),
    ['write-file:/s/a.conf', 'compose-up:0'],
  );
  t.equal(plan.operations[1]?.impact, 'recreate');
});

t.test('a reaction that an interrupted apply still owes is planned again', async (t) => {
  const file = desiredFile('/s/a.conf', 'one\n', {
    onChange: [{ kind: 'restart', service: 'web' }],
  });
  const state = observedFiles([file]);
  const plan = makePlan(
    desiredWith({ fileList: [file], ...stackOf({ web: service() }) }),
    observedWith({
      ...state,
      manifest: { ...state.manifest, pending: ['restart:web'] },
      containers: [container('web')],
    }),
  );
  t.strictSame(
    plan.operations.map(({ id, cause }) => [id, cause]),
    [['restart:web', 'left over from an interrupted apply']],
  );
});

t.test('a file that somebody else changed is drift: left alone until told', async (t) => {
  const file = desiredFile('/s/a.conf', 'ours\n');
  const state = observedFiles([file]);
  const observed = observedWith({
    manifest: state.manifest,
    files: new Map([
      ['/s/a.conf', { sha256: 'f'.repeat(64), mode: 0o644, uid: 0, gid: 0, content: 'theirs\n' }],
    ]),
  });
  const plan = makePlan(desiredWith({ fileList: [file] }), observed);
  t.strictSame(plan.operations, []);
  t.match(plan.drift, [{ subject: '/s/a.conf', blocks: true }]);
  const told = makePlan(desiredWith({ fileList: [file] }), observed, { overwriteDrift: true });
  t.match(told.operations, [{ id: 'write-file:/s/a.conf', diff: /-theirs\n\+ours/ }]);
  t.match(told.drift, [{ blocks: false }]);
});

t.test('content that an interrupted apply was about to write is ours', async (t) => {
  const interrupted = desiredFile('/s/a.conf', 'interrupted\n');
  const next = desiredFile('/s/a.conf', 'next\n');
  const state = observedFiles([interrupted]);
  const plan = makePlan(
    desiredWith({ fileList: [next] }),
    observedWith({
      files: state.files,
      manifest: { ...state.manifest, files: {}, intents: state.manifest.files },
    }),
  );
  t.strictSame(plan.drift, []);
  t.match(plan.operations, [{ id: 'write-file:/s/a.conf' }]);
});

function updated(more: Partial<UpdatableSettings>): ObservedContainer {
  return container('web', {
    updatable: { restart: 'unless-stopped', cpus: 0.3, pids: 256, ...more },
  });
}

t.test('containers: what differs decides what happens', async (t) => {
  const two = service({ scale: 2, cpus: 0.3 });
  const cases: [string, readonly ObservedContainer[], string | undefined, string?][] = [
    ['as desired', [container('web'), container('web')], undefined],
    ['one missing', [container('web')], 'scale'],
    ['none', [], 'create'],
    ['one stopped', [container('web'), container('web', { running: false })], 'start'],
    ['older definition', [container('web'), container('web', { spec: 'older' })], 'recreate'],
    [
      'other image under the same name',
      [container('web'), container('web', { imageId: 'sha256:9' })],
      'recreate',
    ],
    [
      'altered limit',
      [container('web'), container('web', { memoryLimit: 0 })],
      'recreate',
      'its memory limit was altered by',
    ],
    ['settings as desired', [updated({}), updated({})], undefined],
    ['altered CPUs', [updated({}), updated({ cpus: 1 })], 'recreate', 'its CPU limit was altered'],
    [
      'two alterations',
      [updated({ pids: 0 }), updated({ restart: 'no' })],
      'recreate',
      'its limit of processes and its restart policy were altered by',
    ],
  ];
  for (const [name, containers, change, drift] of cases) {
    const plan = makePlan(
      desiredWith(stackOf({ web: two })),
      observedWith({ containers, images: new Map([['demo:1', 'sha256:1']]) }),
    );
    const up = plan.operations.find(({ kind }) => kind === 'compose-up');
    const found = up?.kind === 'compose-up' ? up.services[0]?.change : undefined;
    t.equal(found, change, name);
    if (drift !== undefined) t.match(plan.drift, [{ text: new RegExp(drift) }]);
  }
});

t.test('a replica that nginx was not told of, or that is to go, is put into service', async (t) => {
  const rolled = { service: 'web', port: 3000, peerNetworks: [], watchSeconds: 30 };
  const containers = [1, 2].map((number) =>
    container('web', { id: `id-${number}`, name: `demo-web_a-${number}` }),
  );
  const changeWith = (...states: (readonly [ReplicaState, string?])[]) => {
    const replicas = states.map(([state, reason], index) => ({
      container: `demo-web_a-${index + 1}`,
      id: `id-${index + 1}`,
      state,
      ...(reason === undefined ? {} : { reason }),
    }));
    const { operations } = makePlan(
      desiredWith({
        ...stackOf({ web: service({ scale: 2 }) }),
        rolled: new Map([['web', rolled]]),
      }),
      observedWith({
        containers,
        images: new Map([['demo:1', 'sha256:1']]),
        edge: {
          version: 1,
          generation: 1,
          services: { web: { slot: 'a', port: 3000, replicas } },
        },
      }),
    );
    return operations.flatMap((one) => (one.kind === 'compose-up' ? one.services : []))[0]?.change;
  };
  t.equal(changeWith(['up'], ['up']), undefined);
  t.equal(changeWith(['up'], ['out', 'status 500']), undefined, 'a sick one is the agent’s');
  t.equal(changeWith(['up'], ['out', STARTING]), 'start');
  t.equal(changeWith(['up'], ['draining', 'fewer replicas are wanted']), 'start');
  t.equal(changeWith(['up']), 'start');
});

t.test('a service that left the config loses its containers and network last', async (t) => {
  const plan = makePlan(
    desiredWith(stackOf({})),
    observedWith({
      containers: [container('old')],
      networks: [{ name: 'demo_app-old', subnet: '10.213.0.0/26' }],
    }),
  );
  t.strictSame(
    plan.operations.map(({ id }) => id),
    ['remove-containers:old', 'remove-network:demo_app-old'],
  );
});

t.test('services start after what they depend on', async (t) => {
  const on = (...names: string[]) =>
    service({
      depends_on: Object.fromEntries(
        names.map((name) => [name, { condition: 'service_healthy' as const }]),
      ),
    });
  t.strictSame(
    startOrder({ nginx: on('web'), web: on('db', 'redis'), db: service(), redis: service() }),
    [['db', 'redis'], ['web'], ['nginx']],
  );
  t.throws(() => startOrder({ a: on('b'), b: on('a') }), /circle: a → b → a/);
});

t.test('another name of a volume is a new, empty one, and the plan says so', async (t) => {
  const mounting = (...volumes: string[]) =>
    service({
      volumes: volumes.map((source) => ({ type: 'volume', source, target: `/${source}` })),
    });
  const stack = (services: Record<string, StackService>, ...volumes: string[]) => ({
    ...stackOf(services),
    stack: {
      ...stackOf(services).stack,
      volumes: Object.fromEntries(volumes.map((name) => [name, { component: 'accessories' }])),
    },
  });
  const desired = desiredWith({
    ...stack({ mongo: mounting('mongo-data'), mail: mounting('mails') }, 'mongo-data', 'mails'),
    specs: new Map([
      ['mongo', 'another'],
      ['mail', 'new'],
    ]),
  });
  const { notices, operations } = makePlan(
    desired,
    observedWith({
      containers: [container('mongo')],
      volumes: ['demo_data', 'demo_old'],
      appliedVolumes: ['demo_data'],
    }),
  );
  t.ok(operations.length > 0);
  t.match(notices, [
    { code: 'volume/left', text: /demo_data .* no backup saves it/ },
    {
      code: 'volume/empty',
      text: /demo_mongo-data is new: mongo begins with nothing in .mongo-data/,
    },
  ]);
  t.equal(notices.length, 2, 'a new service, and what was left long ago, are no news');
});
