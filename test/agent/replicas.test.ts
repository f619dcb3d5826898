import t from 'tap';
import type { Outcome } from '../../agent/replicas/standing.ts';
import { BROKEN, ReplicaWorld, WELL, watchedService } from './replica-world.ts';

t.test('the third failure takes a replica out, the second success brings it back', async (t) => {
  const world = new ReplicaWorld();
  world.add('web-1');
  const sick = world.add('web-2');
  world.route({ 'web-1': 'up', 'web-2': 'up' });
  const watch = world.watch([watchedService()]);
  await world.pass(20);
  t.strictSame(world.writes, [], 'nothing is written while all is well');
  sick.answer = () => BROKEN;
  await world.pass(19);
  t.strictSame(world.edge(), { 'web-1': 'up', 'web-2': 'up' }, 'two failures');
  await world.pass(11);
  t.strictSame(world.edge(), { 'web-1': 'up', 'web-2': 'out' });
  t.match(world.state?.services['web']?.replicas[1], { reason: '/health answers 500' });
  t.match(watch.results()[0]?.replicas, [
    { container: 'web-1', healthy: true, serving: true, why: '' },
    { container: 'web-2', healthy: false, serving: false, why: '/health answers 500' },
  ]);
  sick.answer = () => WELL;
  await world.pass(10);
  t.strictSame(world.edge(), { 'web-1': 'up', 'web-2': 'out' }, 'one success');
  await world.pass(10);
  t.strictSame(world.edge(), { 'web-1': 'up', 'web-2': 'up' });
  t.equal(watch.results()[0]?.takenOut, 1);
  t.match(world.log.join('\n'), /web-2 is sick: .*500.*no more requests.*requests again/s);
});

t.test('the last one stays, and changes with the first that is well again', async (t) => {
  const world = new ReplicaWorld();
  const first = world.add('web-1', { answer: () => BROKEN });
  world.add('web-2');
  world.route({ 'web-1': 'up', 'web-2': 'up' });
  world.watch([watchedService()]);
  await world.pass(35);
  t.strictSame(world.edge(), { 'web-1': 'out', 'web-2': 'up' });
  const second = world.containers.get('web-2');
  if (second !== undefined) second.answer = () => BROKEN;
  await world.pass(40);
  t.strictSame(world.edge(), { 'web-1': 'out', 'web-2': 'up' });
  first.answer = () => WELL;
  await world.pass(25);
  t.strictSame(world.edge(), { 'web-1': 'up', 'web-2': 'out' });
});

t.test('a container that ends is out at once, and back soon after its start', async (t) => {
  const world = new ReplicaWorld();
  world.add('web-1');
  const crashed = world.add('web-2');
  world.route({ 'web-1': 'up', 'web-2': 'up' });
  world.watch([watchedService({ intervalSeconds: 60 })]);
  await world.pass(5);
  crashed.state = 'exited';
  await world.event();
  t.strictSame(world.edge(), { 'web-1': 'up', 'web-2': 'out' });
  crashed.state = 'running';
  await world.event();
  await world.pass(3);
  t.strictSame(world.edge(), { 'web-1': 'up', 'web-2': 'up' }, 'not at the interval of a minute');
});

t.test('a start by the engine is a start: what is still starting is not restarted', async (t) => {
  const world = new ReplicaWorld();
  const slow = world.add('web-1');
  world.route({ 'web-1': 'up' });
  world.watch([watchedService()]);
  await world.pass(5);
  slow.state = 'restarting';
  await world.event();
  await world.pass(55);
  Object.assign(slow, { state: 'running', answer: () => BROKEN });
  await world.event();
  await world.pass(50);
  t.strictSame(world.restarted, []);
  await world.pass(20);
  t.equal(world.restarted.length, 1);
});

t.test('what a deploy drains, or has not handed over, is left alone', async (t) => {
  const world = new ReplicaWorld();
  for (const name of ['web-1', 'web-2', 'web-3', 'web-4'])
    world.add(name, { answer: () => BROKEN });
  world.add('web-5');
  world.route({ 'web-1': 'up', 'web-2': 'draining', 'web-5': 'up' });
  const watch = world.watch([watchedService()]);
  await world.pass(60);
  t.strictSame(world.edge(), { 'web-1': 'out', 'web-2': 'draining', 'web-5': 'up' });
  t.strictSame(
    watch.results()[0]?.replicas.map(({ container }) => container),
    ['web-1', 'web-5'],
  );
});

t.test('without a route, the release that runs is watched', async (t) => {
  const world = new ReplicaWorld();
  world.add('worker-1', { service: 'worker', status: 'Up 2 minutes (unhealthy)' });
  world.add('worker-old', { service: 'worker', state: 'exited', slot: 'b' });
  const watch = world.watch(
    [watchedService({ name: 'worker', check: { kind: 'engine' }, unhealthy: 1 })],
    undefined,
    {
      ask: undefined as never,
    },
  );
  await world.pass(11);
  t.match(watch.results(), [
    {
      service: 'worker',
      replicas: [{ container: 'worker-1', healthy: false, why: 'its health command fails' }],
    },
  ]);
  t.equal(watch.results()[0]?.replicas.length, 1);
  const worker = world.containers.get('worker-1');
  if (worker !== undefined) worker.status = 'Up 3 minutes (healthy)';
  await world.event();
  await world.pass(21);
  t.match(watch.results(), [{ replicas: [{ healthy: true }] }]);
});

t.test('a new agent knows what the one before had taken out', async (t) => {
  const world = new ReplicaWorld();
  world.add('web-1');
  world.add('web-2');
  world.route({ 'web-1': 'up', 'web-2': 'out' });
  const watch = world.watch([watchedService()]);
  await world.pass(1);
  t.strictSame(world.edge(), { 'web-1': 'up', 'web-2': 'out' });
  await world.pass(21);
  t.strictSame(world.edge(), { 'web-1': 'up', 'web-2': 'up' }, 'two successes later');
  watch.stop();
});

t.test(
  'what stays sick is restarted, one at a time, not while somebody changes the server',
  async (t) => {
    const world = new ReplicaWorld();
    for (const name of ['web-1', 'web-2', 'web-3']) world.add(name, { answer: () => BROKEN });
    world.route({ 'web-1': 'up', 'web-2': 'up', 'web-3': 'up' });
    world.isChanging = true;
    const watch = world.watch([watchedService()]);
    await world.pass(200);
    t.strictSame(world.restarted, []);
    world.isChanging = false;
    await world.pass(10);
    t.equal(world.restarted.length, 1);
    await world.pass(40);
    t.equal(world.restarted.length, 1, 'the first one has time to get well');
    await world.pass(40);
    t.equal(world.restarted.length, 1, 'or as long as it would have itself');
    await world.pass(45);
    t.equal(world.restarted.length, 2);
    t.not(world.restarted[0], world.restarted[1]);
    t.equal(watch.results()[0]?.restarts, 2);
    const result = { version: 1, services: watch.results() } as const;
    watch.stop();
    const next = world.watch([watchedService()], result);
    await world.pass(1);
    t.strictSame(
      next.results()[0]?.replicas.map(({ restarts }) => restarts?.count),
      watch.results()[0]?.replicas.map(({ restarts }) => restarts?.count),
      'the next agent goes on counting',
    );
  },
);

t.test(
  'a restart in the future of a clock that was set back stops no other for ever',
  async (t) => {
    const world = new ReplicaWorld();
    for (const name of ['web-1', 'web-2']) world.add(name, { answer: () => BROKEN });
    world.route({ 'web-1': 'up', 'web-2': 'up' });
    const first = world.watch([watchedService()]);
    await world.pass(110);
    t.equal(world.restarted.length, 1);
    const before = { version: 1, services: first.results() } as const;
    first.stop();
    world.clock.set(-24 * 3_600_000);
    const next = world.watch([watchedService()], before);
    await world.pass(130);
    t.equal(world.restarted.length, 2, 'a new agent');
    world.clock.set(-24 * 3_600_000);
    await world.pass(300);
    t.ok(world.restarted.length > 2, 'and the one that saw it happen');
    next.stop();
  },
);

t.test('a clock that is set back during a question does not put off the next one', async (t) => {
  const world = new ReplicaWorld();
  let isSet = false;
  const answer = (): Outcome => {
    if (!isSet) world.clock.set(-600_000);
    isSet = true;
    return WELL;
  };
  world.add('web-1', { answer });
  world.route({ 'web-1': 'up' });
  const watch = world.watch([watchedService()]);
  await world.pass(60);
  t.ok(isSet);
  t.ok(world.asked.length > 30, `asked ${world.asked.length} times in ten minutes`);
  watch.stop();
});

t.test('the deep path alerts and does nothing else', async (t) => {
  const world = new ReplicaWorld();
  const answer = (check: { path?: string }): Outcome =>
    check.path === '/deep' ? { ok: false, why: '/deep answers 503' } : WELL;
  world.add('web-1', { answer: answer as never });
  world.add('web-2');
  world.route({ 'web-1': 'up', 'web-2': 'up' });
  const watch = world.watch([watchedService({ deep: { port: 3000, path: '/deep' } })]);
  await world.pass(300);
  t.strictSame(world.writes, []);
  t.strictSame(world.restarted, []);
  t.match(watch.results()[0]?.replicas, [
    { container: 'web-1', healthy: true, deepWhy: '/deep answers 503' },
    { container: 'web-2', healthy: true, deepWhy: undefined },
  ]);
});

t.test('questions are spread, never overlap, and at most eight wait for an answer', async (t) => {
  const world = new ReplicaWorld();
  let open = 0;
  let most = 0;
  const replies: (() => void)[] = [];
  for (let index = 0; index < 20; index += 1) {
    const name = `${String.fromCharCode(65 + index * 3)}-web`;
    world.add(name, {
      answer: () => {
        open += 1;
        most = Math.max(most, open);
        return new Promise<Outcome>((resolve) => {
          replies.push(() => {
            open -= 1;
            resolve(WELL);
          });
        });
      },
    });
  }
  world.watch([watchedService()]);
  await world.pass(60);
  t.equal(most, 8);
  t.equal(world.asked.length, 8, 'nobody is asked again before the answer');
  while (replies.length > 0) {
    replies.shift()?.();
    await world.pass(0.25);
  }
  t.equal(new Set(world.asked).size, 20, 'the others come as soon as there is room');
});

t.test('services that come and go with new settings', async (t) => {
  const world = new ReplicaWorld();
  world.add('web-1');
  world.add('api-1', { service: 'api' });
  const watch = world.watch([watchedService(), watchedService({ name: 'api' })]);
  await world.pass(20);
  t.ok(world.asked.includes('api-1'));
  watch.set('test', [watchedService()]);
  world.asked.length = 0;
  await world.pass(40);
  t.ok(world.asked.includes('web-1'));
  t.notOk(world.asked.includes('api-1'));
  world.containers.delete('web-1');
  await world.event();
  t.strictSame(watch.results()[0]?.replicas, []);
});
