import t from 'tap';
import { readAudit } from '../../installer/apply/audit.ts';
import { acquireLock } from '../../installer/apply/lock.ts';
import { AppError } from '../../installer/errors.ts';
import type { Desired } from '../../installer/model/desired.ts';
import { LABELS } from '../../installer/model/labels.ts';
import type { Observed } from '../../installer/plan/observed.ts';
import { planText } from '../../installer/plan/text.ts';
import { desiredFile } from '../support/desired.ts';
import { platform } from './platform.ts';
import { processOn, SERVER } from './process.ts';
import { kinds, MIGRATE, PATHS, World } from './world.ts';

const NGINX_CONF = `${PATHS.stack}/nginx/nginx.conf`;
const PAGE = `${PATHS.stack}/site/pages/page.html`;
const CHANGED = { nginxConf: 'worker 2;\n' };

function auditOf(world: World) {
  return readAudit(world.text(PATHS.audit) ?? '');
}

async function applied(): Promise<World> {
  const world = new World();
  await world.apply(platform());
  world.host.effects.revive();
  return world;
}

function write(world: World, path: string, text: string): void {
  world.host.files.write(path, Buffer.from(text), { mode: 0o644, uid: 0, gid: 0 });
}

t.test('a second apply says that there is nothing to do and touches only the lock', async (t) => {
  const world = await applied();
  const ids = world.engine.all().map(({ id }) => id);
  const before = world.host.effects.transcript.length;
  const outcome = await world.apply(platform(), { confirm: async () => t.fail('must not ask') });
  t.equal(outcome.result, 'unchanged');
  t.strictSame(
    world.engine.all().map(({ id }) => id),
    ids,
  );
  const effects = world.host.effects.transcript.slice(before);
  t.ok(
    effects.every((line) => line.includes('apply.lock') || line === `mkdir ${PATHS.state} 755 0:0`),
    effects.join('\n'),
  );
  t.equal(auditOf(world).entries.length, 1);
});

t.test('a changed file reloads its service and leaves every container with its id', async (t) => {
  const world = await applied();
  const ids = world.engine.all().map(({ id }) => id);
  const outcome = await world.apply(platform(CHANGED));
  t.strictSame(kinds(outcome.plan), [`write-file:${NGINX_CONF}`, 'reload:nginx']);
  t.strictSame(
    world.engine.all().map(({ id }) => id),
    ids,
  );
  t.strictSame(
    world.engine.execs.slice(-2).map(({ argv }) => argv),
    [
      ['nginx', '-t'],
      ['nginx', '-s', 'reload'],
    ],
  );
});

t.test(
  'one audit line tells who, when, what and how it ended, and the lines are chained',
  async (t) => {
    const world = await applied();
    await world.apply(platform(CHANGED), { process: processOn(SERVER, { who: 'ann@desk' }) });
    const { entries, breaks } = auditOf(world);
    t.strictSame(breaks, []);
    t.equal(entries.length, 2);
    t.match(entries[1], {
      who: 'ann@desk',
      when: /^2026-01-02T/,
      command: 'holdfast apply',
      operations: [`write-file:${NGINX_CONF}`, 'reload:nginx'],
      planned: 2,
      result: 'done',
      configDigest: /./,
    });
    t.notMatch(world.text(PATHS.audit), 'generated-password');
  },
);

t.test('an answer of no changes nothing', async (t) => {
  const world = await applied();
  const before = world.host.files.snapshot();
  const outcome = await world.apply(platform(CHANGED), { confirm: async () => false });
  t.equal(outcome.result, 'declined');
  t.strictSame(world.host.files.snapshot(), before);
});

t.test('a server that changes while the plan is being read makes the plan stale', async (t) => {
  const world = await applied();
  const confirm = async () => {
    world.engine.stop(world.containerId('web') ?? '');
    return true;
  };
  await t.rejects(world.apply(platform(CHANGED), { confirm }), { code: 'drift/plan-stale' });
  t.equal(world.text(NGINX_CONF), 'worker 1;\n');
});

t.test('a config that is edited while the plan is being read is not half applied', async (t) => {
  const world = await applied();
  await t.rejects(world.apply(platform(CHANGED), { configDigest: async () => 'other' }), {
    code: 'config/changed-meanwhile',
  });
  t.equal(world.text(NGINX_CONF), 'worker 1;\n');
});

t.test('a config that is edited while it is applied is finished as shown, and said', async (t) => {
  const world = await applied();
  let digest = '';
  await world.apply(platform(CHANGED), {
    confirm: async (_plan, desired) => {
      digest = desired.configDigest;
      return true;
    },
    verify: async () => {
      digest = 'edited';
    },
    configDigest: async () => digest,
  });
  t.equal(world.text(NGINX_CONF), 'worker 2;\n');
  t.match(world.events.at(-1), { kind: 'warning', code: 'config/changed-while-applying' });
});

t.test('a lock that is taken away while the plan is being read stops the apply', async (t) => {
  const world = await applied();
  const confirm = async () => {
    world.host.files.remove(PATHS.applyLock, true);
    return true;
  };
  await t.rejects(world.apply(platform(CHANGED), { confirm }), { code: 'lock/lost' });
  t.equal(world.text(NGINX_CONF), 'worker 1;\n');
});

t.test('of two applies at once the second is refused and the first is not disturbed', async (t) => {
  const world = await applied();
  let second: unknown;
  await world.apply(platform(CHANGED), {
    process: processOn(SERVER, { pid: 7 }),
    confirm: async () => {
      second = await world
        .apply(platform(), { process: processOn(SERVER, { pid: 8, living: [7] }) })
        .catch((error: unknown) => error);
      return true;
    },
  });
  t.match(second, { code: 'lock/held' });
  t.equal(world.text(NGINX_CONF), 'worker 2;\n');
});

t.test('while a person is asked, others may change the server', async (t) => {
  const world = await applied();
  const ask =
    (meanwhile: () => Promise<unknown>, answer = true) =>
    async () => {
      t.notOk(world.host.files.stat(PATHS.applyLock));
      await meanwhile();
      return answer;
    };
  const asked = (confirm: () => Promise<boolean>) =>
    world.apply(platform(CHANGED), {
      asksPerson: true,
      confirm,
      process: processOn(SERVER, { pid: 7, living: [8] }),
    });
  const second = (options = {}) => world.apply(platform(options));
  t.equal((await asked(ask(second, false))).result, 'declined');
  await t.rejects(asked(ask(() => second({ web: '2' }))), { code: 'drift/plan-stale' });
  t.equal(world.text(NGINX_CONF), 'worker 1;\n');
  const holding = ask(() =>
    acquireLock(world.host, PATHS, {
      process: processOn(SERVER, { pid: 8 }),
      command: 'holdfast update',
      waitSeconds: 0,
      clock: world.clock,
    }),
  );
  const before = world.clock.elapsed();
  await t.rejects(asked(holding), { code: 'lock/held', why: /process 8/ });
  t.equal(world.clock.elapsed() - before, 60_000, 'who has said yes waits a while');
  world.host.files.remove(PATHS.applyLock, true);
  await second();
  const taken = async () => {
    t.ok(world.host.files.stat(PATHS.applyLock));
  };
  const outcome = await world.apply(platform(CHANGED), {
    asksPerson: true,
    confirm: ask(second),
    verify: taken,
  });
  t.equal(outcome.result, 'applied');
  t.equal(world.text(NGINX_CONF), 'worker 2;\n');
  t.notOk(world.host.files.stat(PATHS.applyLock));
});

t.test('a file of ours that somebody changed is not overwritten', async (t) => {
  const world = await applied();
  write(world, NGINX_CONF, 'by hand\n');
  await t.rejects(world.apply(platform(CHANGED)), {
    code: 'drift/files-changed',
    why: /nginx\.conf was changed by someone else/,
    hint: /--adopt/,
  });
  t.equal(world.text(NGINX_CONF), 'by hand\n');
});

t.test(
  'a compose file that says nothing any more is drift, and --adopt puts it back',
  async (t) => {
    const path = `${PATHS.stack}/compose.yaml`;
    for (const broken of [
      'volumes: { data: {} }\n',
      '',
      '<<<<<<< mine\nservices:\n',
      'volumes:\n',
    ]) {
      const world = await applied();
      const before = world.text(path);
      write(world, path, broken);
      await t.rejects(world.apply(platform()), { code: 'drift/files-changed' }, broken);
      await world.apply(platform(), { adopt: true });
      t.equal(world.text(path), before);
    }
  },
);

t.test('whoever switches the audit log off is its last line, and on again its next', async (t) => {
  const logging =
    (auditLog: boolean, nginxConf: string) =>
    (observed: Observed): Desired => {
      const desired = platform({ nginxConf })(observed);
      const settings = desiredFile(`${PATHS.stack}/agent/agent.json`, JSON.stringify({ auditLog }));
      return { ...desired, files: new Map(desired.files).set(settings.path, settings) };
    };
  const world = new World();
  const lines: number[] = [];
  for (const [index, auditLog] of [true, false, false, true].entries()) {
    await world.apply(logging(auditLog, `worker ${index};\n`));
    lines.push(auditOf(world).entries.length);
  }
  t.strictSame(lines, [1, 2, 2, 3]);
  const never = new World();
  await never.apply(logging(false, 'worker 1;\n'));
  t.equal(never.text(PATHS.audit), undefined, 'a first config that wants none gets none');
});

t.test('--adopt puts our file back and keeps a copy of what stood there', async (t) => {
  const world = await applied();
  write(world, NGINX_CONF, 'by hand\n');
  await world.apply(platform(CHANGED), { adopt: true });
  t.equal(world.text(NGINX_CONF), 'worker 2;\n');
  const copies = world.host.files
    .paths()
    .filter((path) => path.startsWith(`${PATHS.state}/replaced/`));
  t.strictSame(
    copies.map((path) => world.text(path)),
    ['by hand\n'],
  );
  t.equal((await world.apply(platform(CHANGED))).result, 'unchanged');
});

t.test('--adopt keeps a copy of what it removes too', async (t) => {
  const world = new World();
  await world.apply(platform({ page: 'hello\n' }));
  write(world, PAGE, 'by hand\n');
  await world.apply(platform(), { adopt: true });
  t.equal(world.text(PAGE), undefined);
  const copies = world.host.files
    .paths()
    .filter((path) => path.startsWith(`${PATHS.state}/replaced/`));
  t.strictSame(
    copies.map((path) => world.text(path)),
    ['by hand\n'],
  );
});

t.test('a file that somebody changes while images are built is not removed', async (t) => {
  const world = new World();
  await world.apply(platform({ page: 'hello\n' }));
  world.host.on(['docker', 'buildx', 'build'], ({ rest }) => {
    world.engine.addImage(rest[1] ?? '');
    write(world, PAGE, 'by hand\n');
    return undefined;
  });
  await t.rejects(world.apply(platform({ web: '2' })), { code: 'drift/changed-meanwhile' });
  t.equal(world.text(PAGE), 'by hand\n');
});

t.test('a file that somebody changes while images are built is not overwritten', async (t) => {
  const world = await applied();
  world.host.on(['docker', 'buildx', 'build'], ({ rest }) => {
    world.engine.addImage(rest[1] ?? '');
    write(world, NGINX_CONF, 'by hand\n');
    return undefined;
  });
  await t.rejects(world.apply(platform({ ...CHANGED, web: '2' })), {
    code: 'drift/changed-meanwhile',
  });
  t.equal(world.text(NGINX_CONF), 'by hand\n');
});

t.test(
  'a manifest that cannot be read stops apply, and --adopt takes over what is as desired',
  async (t) => {
    const world = await applied();
    write(world, PATHS.manifest, '{"version": 1, "files"');
    await t.rejects(world.apply(platform()), {
      code: 'drift/manifest-unreadable',
      hint: /holdfast apply --adopt/,
    });
    const ids = world.engine.all().map(({ id }) => id);
    const outcome = await world.apply(platform(), { adopt: true });
    t.strictSame(kinds(outcome.plan), ['provision:postgres-roles', 'reload:nginx']);
    t.strictSame(
      world.engine.all().map(({ id }) => id),
      ids,
    );
    t.equal(world.text(`${PATHS.manifest}.unreadable`), '{"version": 1, "files"');
    t.equal((await world.apply(platform())).result, 'unchanged');
  },
);

t.test('a manifest of a newer holdfast is not touched', async (t) => {
  const world = await applied();
  write(world, PATHS.manifest, '{"version": 99}');
  await t.rejects(world.apply(platform(), { adopt: true }), { code: 'drift/manifest-newer' });
  t.equal(world.text(PATHS.manifest), '{"version": 99}');
});

t.test(
  'a disk that is nearly full is refused with figures before anything is changed',
  async (t) => {
    const world = await applied();
    world.disk.freeBytes = 100 * 1024 ** 2;
    const before = world.text(PATHS.manifest);
    await t.rejects(world.apply(platform(CHANGED)), {
      code: 'preflight/disk-nearly-full',
      what: /100m free on \/, \d+k needed/,
    });
    t.equal(world.text(PATHS.manifest), before);
  },
);

t.test(
  'a disk that fills up in the middle loses nothing, and the next apply carries on',
  async (t) => {
    const world = await applied();
    world.host.diskBytes = world.host.files.totalBytes() + 600;
    const page = 'x'.repeat(4000);
    await t.rejects(world.apply(platform({ ...CHANGED, page })), { message: /no space left/ });
    world.host.diskBytes = Number.POSITIVE_INFINITY;
    await world.apply(platform({ ...CHANGED, page }));
    t.equal(world.text(NGINX_CONF), 'worker 2;\n');
    t.match(world.engine.execs.at(-1)?.argv, ['nginx', '-s', 'reload']);
  },
);

t.test('an interrupt finishes the current operation, frees the lock and is audited', async (t) => {
  const world = await applied();
  const stop = new AbortController();
  const outcome = world.apply(platform({ ...CHANGED, web: '2' }), {
    interrupt: stop.signal,
    confirm: async () => {
      world.host.on(['docker', 'buildx', 'build'], ({ rest }) => {
        world.engine.addImage(rest[1] ?? '');
        stop.abort();
        return undefined;
      });
      return true;
    },
  });
  await t.rejects(outcome, { code: 'consent/interrupted', what: /after 1 of \d+ operations/ });
  t.notOk(world.host.files.stat(PATHS.applyLock));
  t.match(auditOf(world).entries.at(-1), {
    result: 'interrupted',
    operations: ['build-image:holdfast-build/web:2'],
  });
  t.equal(world.text(NGINX_CONF), 'worker 1;\n');
  await world.apply(platform({ ...CHANGED, web: '2' }));
  t.equal(world.text(NGINX_CONF), 'worker 2;\n');
});

t.test('an interrupt between two operations leaves the rest for the next apply', async (t) => {
  const world = await applied();
  const stop = new AbortController();
  const write = world.host.write.bind(world.host);
  world.host.write = async (path, content, attributes) => {
    await write(path, content, attributes);
    if (path === NGINX_CONF) stop.abort();
  };
  await t.rejects(world.apply(platform(CHANGED), { interrupt: stop.signal }), {
    code: 'consent/interrupted',
    what: /after 1 of 2 operations/,
  });
  const { plan } = await world.apply(platform(CHANGED));
  t.strictSame(kinds(plan), ['reload:nginx']);
});

t.test('what was carried out is not due any more, even before the apply is complete', async (t) => {
  const world = await applied();
  const all = { ...CHANGED, roles: 'web,api', unit: 'off' };
  let pending: unknown;
  await world.apply(platform(all), {
    verify: async () => {
      pending = JSON.parse(world.text(PATHS.manifest) ?? '').pending;
    },
  });
  t.strictSame(pending, []);
});

t.test(
  'an engine that stops answering in the middle is no reason to roll back: the next apply carries on',
  async (t) => {
    const world = await applied();
    world.engine.onExec(['nginx', '-t'], () => {
      world.engine.unreachable = true;
      return {};
    });
    await t.rejects(world.apply(platform(CHANGED)), { code: 'engine/unreachable' });
    t.equal(world.text(NGINX_CONF), 'worker 2;\n');
    world.engine.unreachable = false;
    world.engine.onExec(['nginx', '-t'], () => ({}));
    const { plan } = await world.apply(platform(CHANGED));
    t.strictSame(kinds(plan), ['reload:nginx']);
  },
);

t.test('a comment in the config is no operation', async (t) => {
  const world = await applied();
  const commented: ReturnType<typeof platform> = (observed) => ({
    ...platform()(observed),
    configDigest: 'with-a-comment',
  });
  t.equal((await world.apply(commented)).result, 'unchanged');
  t.match(world.text(PATHS.manifest), /with-a-comment/);
});

t.test('removing a service removes its containers and keeps its volume', async (t) => {
  const world = await applied();
  const { plan } = await world.apply(platform({ withCache: false }));
  t.equal(world.containerId('cache'), undefined);
  t.ok(world.engine.volumeLabels.has('demo_cache'));
  t.match(planText(plan), /^note: nothing mounts the volume demo_cache any more: .* no backup/m);
  const later = await world.apply(platform({ withCache: false, ...CHANGED }));
  t.strictSame(later.plan.notices, [], 'told once');
});

t.test('containers that are sick although nothing changed are named', async (t) => {
  const world = await applied();
  world.engine.behave('web', { health: 'unhealthy' });
  const outcome = await world.apply(platform());
  t.strictSame(outcome, { ...outcome, result: 'unchanged', unhealthy: ['demo-web_a-1'] });
});

t.test('what the engine has not judged yet is asked before it is called sick', async (t) => {
  const world = await applied();
  world.engine.behave('web', { health: 'starting', answersEarly: true });
  t.strictSame((await world.apply(platform())).unhealthy, []);
  world.engine.behave('web', { health: 'starting' });
  t.strictSame((await world.apply(platform())).unhealthy, ['demo-web_a-1']);
});

t.test('an error in a component of ours is audited as a failure and thrown as it is', async (t) => {
  const world = await applied();
  const verify = async () => {
    throw new AppError({ code: 'host/odd', what: 'odd', hint: 'none' });
  };
  await t.rejects(world.apply(platform(CHANGED), { verify }), { code: 'host/odd' });
  t.match(auditOf(world).entries.at(-1), { result: 'failed', error: 'host/odd: odd' });
});

t.test('a compose command that a killed run left at work is waited for', async (t) => {
  const world = await applied();
  let looks = 0;
  world.host.on(
    ['pgrep'],
    () => {
      looks += 1;
      return looks < 4 ? { stdout: '4711\n' } : { exitCode: 1 };
    },
    { looks: true },
  );
  t.equal((await world.apply(platform(CHANGED))).result, 'applied');
  t.equal(looks, 4);
});

t.test('a compose command that never ends is named', async (t) => {
  const world = await applied();
  world.host.on(['pgrep'], () => ({ stdout: '4711\n4712\n' }), { looks: true });
  await t.rejects(world.apply(platform(CHANGED)), {
    code: 'lock/orphan',
    why: 'process 4711, 4712',
  });
  t.notOk(world.host.files.stat(PATHS.applyLock), 'the lock is free again');
});

/** A migration whose CLI and compose client were killed: it runs on, and nobody removes its container. */
function leftMigration(world: World): string {
  const { id } = world.engine.create({
    name: 'demo-web-run-1a2b3c',
    service: '',
    image: 'holdfast-build/web:1',
    labels: {
      'com.docker.compose.oneoff': 'True',
      [LABELS.project]: 'demo',
      [LABELS.migration]: 'web',
    },
    checked: false,
    memoryLimit: 0,
    networks: [],
  });
  world.engine.start(id);
  return id;
}

t.test('a migration that goes on after a kill is waited for, and told', async (t) => {
  const world = await applied();
  const left = leftMigration(world);
  let pauses = 0;
  world.clock.onPause = () => {
    pauses += 1;
    if (pauses === 5) world.engine.stop(left);
  };
  world.host.on(MIGRATE, () => {
    t.ok(pauses >= 5, 'no second one beside it');
    return {};
  });
  const lines = world.host.effects.transcript.length;
  t.equal((await world.apply(platform({ ...CHANGED, web: '2' }))).result, 'applied');
  t.ok(world.host.effects.transcript.slice(lines).some((line) => line.includes(MIGRATE.join(' '))));
  t.match(
    world.events.filter(({ kind }) => kind === 'warning'),
    [{ code: 'lock/orphan', text: /a migration of web .* still at work in demo-web-run-1a2b3c/ }],
  );
  t.notOk(
    world.engine.all().some(({ id }) => id === left),
    'nobody else removes it',
  );
});

t.test('a migration that never ends is named', async (t) => {
  const world = await applied();
  leftMigration(world);
  await t.rejects(world.apply(platform(CHANGED)), {
    code: 'lock/orphan',
    what: /a migration of web that a killed run left behind/,
    why: 'container demo-web-run-1a2b3c',
    hint: /`docker stop demo-web-run-1a2b3c`/,
  });
  t.notOk(world.host.files.stat(PATHS.applyLock), 'the lock is free again');
});

t.test('a migration is known by its label', async (t) => {
  const world = await applied();
  const lines = world.host.effects.transcript.length;
  await world.apply(platform({ web: '2' }));
  t.match(
    world.host.effects.transcript.slice(lines).find((line) => line.includes(' run --rm ')),
    / --label io\.holdfast\.migration=web /,
  );
});

t.test('a restore that was killed in its swap is finished before anything else', async (t) => {
  const world = await applied();
  const journal = {
    version: 1,
    id: '20260101T000000Z-abcdef',
    token: '20260102T000000Z-fedcba',
    phase: 'swapping',
    image: 'holdfast/postgres:17',
    stopped: ['webid', 'goneid'],
  };
  const file = `${PATHS.agent}/restores/demo_uploads.json`;
  write(world, file, JSON.stringify(journal));
  const steps: string[] = [];
  const step =
    (text: (argv: readonly string[]) => string, stdout = '') =>
    ({ argv }: { argv: readonly string[] }) => {
      steps.push(text(argv));
      return { stdout };
    };
  for (const words of [
    ['docker', 'ps'],
    ['docker', 'ps', '--all', '--filter'],
  ]) {
    world.host.on(words, () => ({ stdout: 'webid demo-web-1\n' }), { looks: true });
  }
  world.host.on(
    ['docker', 'stop'],
    step(([, , , , id]) => `stop ${id}`),
  );
  world.host.on(
    ['docker', 'run'],
    step((argv) => `swap ${argv.at(-1)} of ${argv.find((one) => one.startsWith('type='))}`),
  );
  world.host.on(
    ['docker', 'start'],
    step(([, , id]) => `start ${id}`),
  );
  const render = platform(CHANGED);
  await world.apply((observed) => {
    steps.push('look');
    return render(observed);
  });
  t.match(steps.slice(0, 4), [
    'stop webid',
    /^swap 20260102T000000Z-fedcba of type=volume,source=demo_uploads,/,
    'start webid',
    'look',
  ]);
  t.notOk(world.host.files.stat(file), 'the journal is gone');
});

t.test('a backup comes before everything else, where the config asks for it', async (t) => {
  const world = new World();
  const made: unknown[] = [];
  Object.assign(world.context, {
    backUp: async () => {
      made.push(world.text(NGINX_CONF));
      return ['20261130T020000Z-abcdef'];
    },
  });
  const backedUp =
    (options = {}) =>
    (observed: Observed): Desired => ({ ...platform(options)(observed), backsUpFirst: true });
  t.equal((await world.apply(backedUp())).result, 'applied');
  t.strictSame(made, [], 'nothing to save yet');
  const before = world.text(NGINX_CONF);
  const edited = { nginxConf: 'other\n' };
  const { plan } = await world.apply(backedUp(edited));
  t.equal(kinds(plan)[0], 'back-up');
  t.match(planText(plan), /^\+ backup of the databases \(postgres\.snapshotBefore\)$/m);
  t.strictSame(made, [before]);
  t.equal((await world.apply(backedUp(edited))).result, 'unchanged');
  t.equal(made.length, 1, 'what changes nothing needs none');

  const backUp = async () => {
    throw new AppError({ code: 'backup/failed', what: 'the store is full', hint: 'make room' });
  };
  Object.assign(world.context, { backUp });
  await t.rejects(world.apply(backedUp()), { code: 'backup/failed', why: /nothing was changed/ });
  t.equal(world.text(NGINX_CONF), 'other\n');

  world.engine.behave('postgres', { health: 'unhealthy' });
  await world.host.run({
    argv: ['docker', 'container', 'restart', world.containerId('postgres') ?? ''],
  });
  const mended = await world.apply(backedUp());
  t.match(mended.plan.notices, [{ code: 'backup/not-first' }], 'what is down is not saved');
});

t.test('a service that leaves the config answers what it has before it is stopped', async (t) => {
  const world = new World();
  await world.apply(platform({ more: ['shop'] }));
  const status = world.edgeStatus.bind(world);
  let looks = 0;
  world.edgeStatus = () => {
    const { services, ...rest } = status();
    if (services['shop'] !== undefined) return { ...rest, services };
    looks += 1;
    t.equal(world.engine.all().find(({ service }) => service === 'shop')?.status, 'running');
    const inFlight = looks < 3 ? { 'demo-shop_a-1': { requests: 1, webSockets: 0 } } : {};
    return { ...rest, services, inFlight };
  };
  await world.apply(platform());
  t.equal(looks, 3);
  t.equal(world.containerId('shop'), undefined);
});
