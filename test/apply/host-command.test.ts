import t from 'tap';
import { AppError } from '../../installer/errors.ts';
import { CommandError } from '../../installer/host/command-error.ts';
import type { Command } from '../../installer/host/host.ts';
import type { Reaction } from '../../installer/model/contribution.ts';
import type { Desired } from '../../installer/model/desired.ts';
import type { Observed } from '../../installer/plan/observed.ts';
import { type PlatformOptions, platform } from './platform.ts';
import { PATHS, World } from './world.ts';

const NGINX_CONF = `${PATHS.stack}/nginx/nginx.conf`;
const PROGRAM = 'systemctl';
type HostReaction = Extract<Reaction, { kind: 'host' }>;

/** The platform, whose commands on the host say more of themselves. */
function withCommand(
  more: Partial<HostReaction>,
  options: PlatformOptions = {},
): (observed: Observed) => Desired {
  return (observed) => {
    const desired = platform(options)(observed);
    const files = [...desired.files].map(([path, file]) => {
      const onChange = file.onChange.map((reaction) =>
        reaction.kind === 'host' ? { ...reaction, ...more } : reaction,
      );
      return [path, { ...file, onChange }] as const;
    });
    return { ...desired, files: new Map(files) };
  };
}

t.test('a command on the host may run as long as it says', async (t) => {
  const world = new World();
  const seen: Command[] = [];
  const run = world.host.run.bind(world.host);
  world.host.run = (command) => {
    if (command.argv[0] === PROGRAM) seen.push(command);
    return run(command);
  };
  await world.apply(withCommand({ timeoutSeconds: 1234 }));
  t.match(seen, [{ timeoutSeconds: 1234 }]);
});

const BROKEN =
  "E: The repository 'https://gone.example stable Release' does not have a Release file.\n";
const failure = { code: 'updates/not-unattended', text: 'fixes do not install themselves' };

t.test('a command on the host that may fail ends no apply, and its failure is told', async (t) => {
  const world = new World();
  await world.apply(withCommand({ failure }));
  world.host.on([PROGRAM], () => ({ exitCode: 100, stderr: BROKEN }));
  const { plan, result } = await world.apply(
    withCommand({ failure }, { unit: 'off', withCache: false }),
  );
  t.equal(result, 'applied');
  t.equal(world.containerId('cache'), undefined, 'what comes after it is done');
  t.match(
    world.events.filter(({ kind }) => kind === 'warning'),
    [{ code: failure.code, text: `${failure.text}:\n${BROKEN.trim()}` }],
  );
  const id = plan.operations.find(({ kind }) => kind === 'host-command')?.id;
  t.match(
    world.events.findLast((event) => event.kind === 'end' && event.id === id),
    {
      result: 'failed',
    },
  );
  t.equal(
    (await world.apply(withCommand({ failure }, { unit: 'off', withCache: false }))).result,
    'unchanged',
  );
});

t.test('a rollback that has it run again goes on too', async (t) => {
  const world = new World();
  const guarded =
    (nginxConf: string) =>
    (observed: Observed): Desired => {
      const desired = platform({ nginxConf })(observed);
      const argv = ['fail2ban-client', 'reload'] as const;
      const onChange = [{ kind: 'host', id: 'guard', argv, impact: 'none', failure } as const];
      const file = desired.files.get(NGINX_CONF);
      if (file === undefined) throw new Error(`the platform has no ${NGINX_CONF}`);
      return { ...desired, files: new Map(desired.files).set(NGINX_CONF, { ...file, onChange }) };
    };
  await world.apply(guarded('worker 1;\n'));
  const verify = async () => {
    world.host.on(['fail2ban-client'], () => ({ exitCode: 1, stderr: BROKEN }));
    throw new AppError({ code: 'health/not-healthy', what: 'nobody answers', hint: 'x' });
  };
  await t.rejects(world.apply(guarded('worker 2;\n'), { verify }), {
    code: 'health/not-healthy',
    why: /rolled back: \d files put back/,
  });
  t.equal(world.text(NGINX_CONF), 'worker 1;\n');
  t.match(
    world.events.findLast(({ kind }) => kind === 'warning'),
    { code: failure.code },
  );
});

t.test(
  'any other command on the host that fails ends the apply, and so does a lost connection',
  async (t) => {
    const world = new World();
    world.host.on([PROGRAM], () => ({ exitCode: 100, stderr: BROKEN }));
    await t.rejects(world.apply(withCommand({})), { code: 'host/command-failed' });
    const cut = new World();
    cut.host.on([PROGRAM], ({ argv }) => {
      throw new CommandError({ reason: 'connection', argv, host: 'memory' });
    });
    await t.rejects(cut.apply(withCommand({ failure })), { code: 'host/connection-lost' });
  },
);
