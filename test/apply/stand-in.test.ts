import t, { type Test } from 'tap';
import { AppError } from '../../installer/errors.ts';
import { LABELS } from '../../installer/model/labels.ts';
import { RELAY_SERVICE } from '../../installer/model/stand-in.ts';
import { planText } from '../../installer/plan/text.ts';
import { answering, waitingConnections } from '../../installer/rollout/drain-edge.ts';
import { standInRules } from '../../installer/rollout/stand-in-rules.ts';
import { SimulatedKill } from '../support/effects.ts';
import { type PlatformOptions, platform } from './platform.ts';
import { kinds, PATHS, World } from './world.ts';

const PUBLISHED = ['80', '443'];
const OLD: PlatformOptions = { published: PUBLISHED };
const NEW: PlatformOptions = { published: PUBLISHED, nginx: '1.27' };

async function serving(options = OLD): Promise<World> {
  const world = new World();
  await world.apply(platform(options));
  world.host.effects.revive();
  return world;
}

function standIns(world: World) {
  return world.engine.all().filter(({ labels }) => LABELS.standIn in labels);
}

/** Whether a new connection to a published port finds an nginx that runs. */
function isServed(world: World): boolean {
  return answers(world, 'nginx');
}

function answers(world: World, name: string): boolean {
  const found = world.isDiverted
    ? standIns(world).filter(({ labels }) => labels[LABELS.standIn] === name)
    : world.engine.all().filter(({ service }) => service === name);
  return found.some(({ status }) => status === 'running');
}

function afterEachCommand({ host }: World, look: (command: string) => void): void {
  const run = host.run.bind(host);
  host.run = async (command) => {
    const result = await run(command);
    look(command.argv.join(' '));
    return result;
  };
}

function isClean(world: World): boolean {
  const isLoaded = world.isDiverted || world.isKept;
  return standIns(world).length === 0 && !isLoaded && world.text(PATHS.standIn) === undefined;
}

t.test('nginx is replaced while a stand-in answers', async (t) => {
  const world = await serving();
  const from = world.host.effects.transcript.length;
  const { plan } = await world.apply(platform(NEW));
  t.match(planText(plan), /nginx: recreate \(its definition changed; a stand-in answers meanwhile/);
  const done = world.host.effects.transcript.slice(from);
  const at = (what: RegExp): number => done.findIndex((line) => what.test(line));
  const order = [
    /compose .* run --detach .*--name demo-nginx-stand-in .*--publish 17080:80 --publish 17081:443 nginx/,
    /write .*run\/holdfast-stand-in/,
    /run nft --file -/,
    /exec nginx sh .*reload.sh close/,
    /container stop -t5/,
    /compose .* up .*--force-recreate nginx/,
    /run nft add table .*delete table \S+ holdfast_stand_in$/,
    /exec demo-nginx-stand-in sh .*reload.sh close/,
    /container rm/,
    /run nft add table .*delete table .*delete table/,
    /remove .*run\/holdfast-stand-in/,
  ].map(at);
  t.notOk(order.includes(-1), `every step was taken: ${order.join(' ')}`);
  t.strictSame(
    order,
    order.toSorted((a, b) => a - b),
    'in this order',
  );
  t.ok(isClean(world));
});

for (const relay of [false, true]) {
  const name = `killed anywhere${relay ? ', with a relay' : ''}: somebody answers, and the next apply leaves nothing of it`;
  t.test(name, (t) => killedAnywhere(t, { ...OLD, relay }, { ...NEW, relay }));
}

async function killedAnywhere(
  t: Test,
  old: PlatformOptions,
  wanted: PlatformOptions,
): Promise<void> {
  const isRelayed = (world: World): boolean =>
    wanted.relay !== true || answers(world, RELAY_SERVICE);
  const reference = await serving(old);
  await reference.apply(platform(wanted));
  const effects = reference.host.effects.count;
  let unserved = 0;
  for (let effect = 1; effect <= effects; effect += 1) {
    for (const when of ['before', 'after'] as const) {
      const world = await serving(old);
      world.host.crashAt({ effect, when });
      const killed = await world.apply(platform(wanted)).catch((error: unknown) => error);
      const at = `${when} effect ${effect}: ${killed instanceof Error ? killed.message : ''}`;
      t.ok(killed instanceof SimulatedKill, at);
      if (!isServed(world) || !isRelayed(world)) unserved += 1;
      world.host.effects.revive();
      // Half of them with the config from before: the change was taken back.
      const next = effect % 2 === 0 ? old : wanted;
      const gaps: string[] = [];
      afterEachCommand(world, (command) => {
        if (!isServed(world) || !isRelayed(world)) gaps.push(command);
      });
      await world.apply(platform(next));
      t.strictSame(gaps, [], at);
      t.ok(isServed(world) && isClean(world), at);
      t.equal((await world.apply(platform(next))).result, 'unchanged', at);
    }
  }
  t.equal(unserved, 0, 'at no moment of death was nobody there to answer');
}

t.test('the relay is replaced once, with nginx, while a stand-in of its own answers', async (t) => {
  const world = await serving({ ...OLD, relay: true });
  const from = world.host.effects.transcript.length;
  await world.apply(platform({ ...NEW, relay: true }));
  const done = world.host.effects.transcript.slice(from);
  const all = (what: RegExp): number[] =>
    done.flatMap((line, index) => (what.test(line) ? [index] : []));
  const [begun] = all(/compose .* run --detach .*--name demo-nginx-ipv6-stand-in .*nginx-ipv6 -c/);
  const [diverted] = all(/run nft --file -/);
  const [stopped] = all(/container stop -t5/);
  const replaced = all(/compose .* up .*--force-recreate nginx-ipv6/);
  const [ended] = all(/run nft add table .*delete table/);
  t.equal(replaced.length, 1);
  const order = [begun, diverted, stopped, replaced[0], ended].map(Number);
  t.strictSame(
    order,
    order.toSorted((a, b) => a - b),
  );
  t.ok(isClean(world));
});

t.test('a relay is made to end soon where nobody stands in for it, and only there', async (t) => {
  const relayed = { ...OLD, relay: true };
  const told = async (world: World, wanted: PlatformOptions): Promise<string[]> => {
    const from = world.host.effects.transcript.length;
    await world.apply(platform(wanted));
    return world.host.effects.transcript
      .slice(from)
      .filter((line) => / up .*--force-recreate .*nginx-ipv6$/.test(line))
      .map((line) => /--timeout \d+/.exec(line)?.[0] ?? 'in its own time');
  };
  const world = await serving(relayed);
  const changed = { ...relayed, relayMemory: 32 * 1024 ** 2 };
  t.strictSame(await told(world, changed), ['--timeout 1'], 'alone');
  t.strictSame(await told(world, { ...changed, nginx: '1.27' }), ['in its own time'], 'with nginx');
  world.host.on(['nft', '--file', '-'], () => ({ exitCode: 1, stderr: 'not permitted' }));
  t.strictSame(await told(world, changed), ['--timeout 1'], 'where nobody can stand in');
});

t.test('a port that is taken, also by an outgoing connection, is passed over', async (t) => {
  const world = await serving();
  const standInPorts = async (nginx: string): Promise<string | undefined> => {
    const from = world.host.effects.transcript.length;
    await world.apply(platform({ ...NEW, nginx }));
    const done = world.host.effects.transcript.slice(from).join('\n');
    return /--publish \S+ --publish \S+/.exec(done)?.[0];
  };
  // Port 17080 of a connection that this machine has closed (TIME_WAIT), and 17081 of one that is established.
  const taken = ['0: 0A00:42B8 0B00:01BB 06', '1: 0A00:42B9 0B00:01BB 01'].join('\n');
  const owner = { mode: 0o444, uid: 0, gid: 0 };
  world.host.files.write('/proc/net/tcp', Buffer.from(taken), owner);
  t.equal(await standInPorts('1.28'), '--publish 17082:80 --publish 17083:443');
  world.host.files.remove('/proc/net/tcp', false);
  t.equal(await standInPorts('1.29'), '--publish 17080:80 --publish 17081:443');
});

t.test(
  'nginx is told to end when the relay has handed on whoever waited at its ports',
  async (t) => {
    const world = await serving({ ...OLD, relay: true });
    // 443, and 17079 of the stand-in.
    const queues = new Map(['01BB', '42B7'].map((port) => [port, 3]));
    const read = world.host.read.bind(world.host);
    world.host.read = async (path) => {
      if (path !== '/proc/net/tcp6') return read(path);
      const line = ([port, waiting]: [string, number]) =>
        `0: 00:${port} 00:0000 0A 00000000:0000000${waiting} 00:00000000\n`;
      return Buffer.from([...queues].map(line).join(''));
    };
    world.clock.onPause = () => {
      const [port, waiting = 0] = [...queues].find(([, count]) => count > 0) ?? [];
      if (port !== undefined) queues.set(port, waiting - 1);
    };
    const told: number[][] = [];
    const exec = world.engine.exec.bind(world.engine);
    world.engine.exec = async (id, command) => {
      if (command.argv.at(-1) === 'close') told.push([...queues.values()]);
      return exec(id, command);
    };
    await world.apply(platform({ ...NEW, relay: true }));
    t.strictSame(told, [
      [0, 3],
      [0, 0],
    ]);
  },
);

t.test('where the relay can have no stand-in, nginx is replaced all the same', async (t) => {
  const world = await serving({ ...OLD, relay: true });
  world.engine.create({
    name: 'demo-nginx-ipv6-stand-in',
    service: '',
    image: 'holdfast/nginx:1.26',
    checked: false,
    memoryLimit: 0,
    networks: [],
    labels: {},
  });
  t.equal((await world.apply(platform({ ...NEW, relay: true }))).result, 'applied');
  t.ok(
    world.events.some((event) => 'code' in event && event.code === 'rollout/no-stand-in'),
    'which is said',
  );
  t.ok(isServed(world) && answers(world, RELAY_SERVICE) && isClean(world));
});

t.test('a relay comes and goes with the machine’s IPv6', async (t) => {
  const world = await serving();
  const relayed = { ...OLD, relay: true };
  await world.apply(platform(relayed));
  t.ok(isServed(world) && answers(world, RELAY_SERVICE) && isClean(world));
  t.equal((await world.apply(platform(relayed))).result, 'unchanged');
  await world.apply(platform(OLD));
  t.ok(isServed(world) && isClean(world));
  t.notOk(answers(world, RELAY_SERVICE));
  for (const [before, wanted] of [
    [OLD, { ...NEW, relay: true }],
    [relayed, NEW],
  ] as const) {
    const failing = await serving(before);
    failing.sickImages.add('holdfast/nginx:1.27');
    await t.rejects(failing.apply(platform(wanted)), { code: 'health/not-healthy' });
    t.ok(isServed(failing) && isClean(failing), 'a failure leaves what was there');
    t.equal(answers(failing, RELAY_SERVICE), before.relay === true);
  }
});

t.test(
  'an nginx that fails in its own place goes back, also where a relay comes or goes',
  async (t) => {
    for (const [had, has] of [
      [false, false],
      [true, true],
      [false, true],
      [true, false],
    ] as const) {
      const world = await serving({ ...OLD, relay: had });
      const gaps: string[] = [];
      afterEachCommand(world, (command) => {
        // The stand-in answers by now: it is the next container of this image that fails.
        if (/container stop -t5/.test(command)) world.sickImages.add('holdfast/nginx:1.27');
        if (!isServed(world)) gaps.push(command);
      });
      const failure = await world
        .apply(platform({ ...NEW, relay: has }))
        .catch((error: unknown) => error);
      const which = `relay before: ${had}, wanted: ${has}`;
      t.match(failure, { code: 'health/not-healthy', why: /rolled back: .*brought back/ }, which);
      const nginx = world.engine.all().find(({ service }) => service === 'nginx');
      t.equal(nginx?.imageReference, 'holdfast/nginx:1.26', which);
      t.strictSame(gaps, [], which);
      t.ok(isServed(world) && isClean(world), which);
      t.equal(answers(world, RELAY_SERVICE), had, which);
    }
  },
);

t.test('nginx that lost the network of its relay is where the relay looks for it', async (t) => {
  const relayed = { ...OLD, relay: true };
  const world = await serving(relayed);
  const id = world.containerId('nginx') ?? '';
  const address = (): string | undefined => world.engine.get(id).addresses['demo_relayed'];
  const lose = (): void => world.engine.disconnect(id, 'demo_relayed');
  lose();
  const { plan } = await world.apply(platform(relayed));
  t.strictSame(kinds(plan), ['connect-network:demo_relayed:nginx']);
  t.equal(address(), '10.9.2.62');
  // The same where a failed apply is rolled back.
  await t.rejects(
    world.apply(platform({ ...relayed, nginxConf: 'worker 2;\n' }), {
      verify: async () => {
        lose();
        throw new AppError({ code: 'health/front-door', what: 'not as wanted', hint: 'look' });
      },
    }),
    { code: 'health/front-door' },
  );
  t.equal(world.containerId('nginx'), id);
  t.equal(address(), '10.9.2.62');
});

t.test('a new nginx that does not become healthy changes nothing for anybody', async (t) => {
  const world = await serving();
  const before = world.containerId('nginx');
  world.sickImages.add('holdfast/nginx:1.27');
  await t.rejects(world.apply(platform(NEW)), { code: 'health/not-healthy' });
  t.equal(world.containerId('nginx'), before, 'the same container serves');
  t.ok(isServed(world) && isClean(world));
});

t.test('where something else fails later, nginx goes back behind a stand-in too', async (t) => {
  const world = await serving();
  const from = world.host.effects.transcript.length;
  await t.rejects(
    world.apply(platform(NEW), {
      verify: async () => {
        throw new AppError({ code: 'health/front-door', what: 'not as wanted', hint: 'look' });
      },
    }),
    { code: 'health/front-door' },
  );
  const runs = world.host.effects.transcript
    .slice(from)
    .filter((line) => / run --detach /.test(line));
  t.equal(runs.length, 2, 'one for the way there, one for the way back');
  t.ok(isServed(world) && isClean(world));
});

t.test('where the rules cannot be loaded, nginx is replaced as without them', async (t) => {
  const world = await serving();
  world.host.on(['nft', '--file', '-'], () => ({ exitCode: 1, stderr: 'not permitted' }));
  await world.apply(platform(NEW));
  t.match(
    world.events.filter((event) => event.kind === 'warning'),
    [{ code: 'rollout/no-stand-in' }],
  );
  t.ok(isServed(world) && isClean(world));
});

t.test(
  'where nft may do nothing, an apply that was killed is converged from all the same',
  async (t) => {
    const refusing = async (): Promise<World> => {
      const world = await serving();
      world.isNftRefused = true;
      return world;
    };
    const reference = await refusing();
    await reference.apply(platform(NEW));
    t.ok(isServed(reference) && isClean(reference));
    const effects = reference.host.effects.count;
    for (let effect = 1; effect <= effects; effect += 1) {
      const world = await refusing();
      world.host.crashAt({ effect, when: 'after' });
      await t.rejects(world.apply(platform(NEW)), SimulatedKill);
      world.host.effects.revive();
      const at = `after effect ${effect}`;
      await world.apply(platform(NEW));
      t.ok(isServed(world) && isClean(world), at);
      t.equal((await world.apply(platform(NEW))).result, 'unchanged', at);
    }
  },
);

t.test('the plan tells where connections are refused, and why', async (t) => {
  const world = await serving();
  const without = (observed: Parameters<ReturnType<typeof platform>>[0]) => ({
    ...platform(NEW)(observed),
    standIns: [{ service: 'nginx', network: 'front', impossible: 'the program nft is missing' }],
  });
  const { plan } = await world.apply(without);
  t.match(planText(plan), /connections are refused for about a second: the program nft is missing/);
  t.notMatch(world.host.effects.transcript.join('\n'), /run --detach/);
});

t.test('a stand-in that was left is the only thing to do', async (t) => {
  const world = await serving();
  await world.host.write(PATHS.standIn, 'rules', { mode: 0o600, uid: 0, gid: 0 });
  world.isDiverted = true;
  const { plan } = await world.apply(platform(OLD));
  t.strictSame(kinds(plan), ['retire-stand-in:nginx']);
  t.match(planText(plan), /- stand-in of service nginx \(left over from an apply/);
  t.ok(isClean(world));
});

t.test(
  'the rules send new connections to the stand-in, and leave its own ports closed',
  async (t) => {
    const withRelay = standInRules(
      '10.9.0.7',
      [{ published: 443, target: 8443, through: 17_080 }],
      [{ published: 443, through: 17_079 }],
    );
    t.equal(
      withRelay.split(
        'nfproto ipv6 tcp dport 443 tcp flags & (fin | syn | rst | ack) == syn redirect to :17079',
      ).length - 1,
      2,
    );
    t.match(withRelay, 'ct state new tcp dport { 17080, 17079 } drop');
    const rules = standInRules('10.9.0.7', [{ published: 443, target: 8443, through: 17_080 }]);
    const lines = rules.split('\n').map((line) => line.trim());
    const opens = 'tcp flags & (fin | syn | rst | ack) == syn';
    t.strictSame(
      lines.filter((line) => /dnat|redirect|dport \{/.test(line)),
      [
        'ct state new tcp dport { 17080 } drop',
        `fib daddr type local meta nfproto ipv4 iifname != { "docker0", "docker_gwbridge", "br-*" } tcp dport 443 ${opens} dnat ip to 10.9.0.7:8443`,
        `fib daddr type local tcp dport 443 ${opens} redirect to :17080`,
        `fib daddr type local meta nfproto ipv4 ip daddr != 127.0.0.0/8 tcp dport 443 ${opens} dnat ip to 10.9.0.7:8443`,
        `fib daddr type local tcp dport 443 ${opens} redirect to :17080`,
      ],
    );
  },
);

t.test(
  'connections that nobody has accepted, and requests that are being answered, are counted',
  async (t) => {
    const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n';
    const socket = (state: string, waiting: string) =>
      `   0: 00000000:1F90 00000000:0000 ${state} 00000000:${waiting} 00:00000000 00000000\n`;
    t.equal(waitingConnections(head + socket('0A', '00000000') + socket('01', '00000010')), 0);
    t.equal(waitingConnections(head + socket('0A', '0000000B')), 11);
    t.equal(waitingConnections(head + socket('0A', '00000000') + socket('03', '00000000')), 1);
    t.equal(waitingConnections(head + socket('0A', '0000000B'), [8080]), 11, 'at this port');
    t.equal(waitingConnections(head + socket('0A', '0000000B'), [80, 443]), 0, 'at another');
    t.equal(answering('Active connections: 5 \nReading: 1 Writing: 3 Waiting: 1 \n'), 3);
    t.equal(answering('Active connections: 1 \nReading: 0 Writing: 1 Waiting: 0 \n'), 0);
  },
);
