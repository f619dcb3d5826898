import t from 'tap';
import { type PlatformOptions, platform } from './platform.ts';
import { PATHS, World } from './world.ts';

const CHANGED: PlatformOptions = { nginxConf: 'worker 2;\n' };

async function applied(): Promise<World> {
  const world = new World();
  await world.apply(platform());
  return world;
}

t.test(
  'the program of a component checks the staged folder, shut off from everything else',
  async (t) => {
    const world = await applied();
    let staged: string | undefined;
    let argv: readonly string[] = [];
    world.host.on(['docker', 'run'], (call) => {
      argv = call.argv;
      staged = world.text(`${PATHS.staging}${PATHS.stack}/nginx/nginx.conf`);
      t.equal(world.text(`${PATHS.stack}/nginx/nginx.conf`), 'worker 1;\n', 'not replaced yet');
      t.equal(world.host.files.stat(PATHS.staging)?.mode, 0o700);
      return {};
    });
    await world.apply(platform(CHANGED));
    t.equal(staged, 'worker 2;\n');
    const line = argv.join(' ');
    t.match(line, '--network none');
    t.match(line, '--label io.holdfast.project=demo');
    t.match(line, `source=${PATHS.staging}${PATHS.stack}/nginx,target=/etc/nginx,readonly`);
    t.match(line, '--add-host web:127.0.0.1');
    t.match(line, /--entrypoint nginx holdfast\/nginx:1\.26 -t$/);
  },
);

t.test('what a program refuses is told in its own words, and nothing is changed', async (t) => {
  const world = await applied();
  world.host.on(['docker', 'run'], () => ({
    exitCode: 1,
    stderr: 'nginx: [emerg] unknown directive "worker" in /etc/nginx/nginx.conf:1',
  }));
  const before = world.host.files.snapshot();
  await t.rejects(world.apply(platform(CHANGED)), {
    code: 'config/rejected-by-nginx',
    why: /unknown directive "worker" in \/etc\/nginx\/nginx.conf:1\nnothing was changed/,
  });
  const { [PATHS.audit]: _line, ...after } = world.host.files.snapshot();
  const { [PATHS.audit]: _before, ...expected } = before;
  t.strictSame(after, expected);
});

t.test('a compose file that compose refuses is not written', async (t) => {
  const world = await applied();
  const before = world.text(`${PATHS.stack}/compose.yaml`);
  const compose = [
    ...['docker', 'compose', '--ansi', 'never', '--progress', 'plain', '--project-name', 'demo'],
    ...['--project-directory', PATHS.stack, '--env-file', '/dev/null', '--file', '-', 'config'],
  ];
  world.host.on(compose, () => ({ exitCode: 15, stderr: 'services.web: additional property' }));
  await t.rejects(world.apply(platform({ web: '2' })), {
    code: 'config/rejected-by-compose',
    why: /additional property/,
  });
  t.equal(world.text(`${PATHS.stack}/compose.yaml`), before);
});

t.test('folders in which nothing changes are not checked again', async (t) => {
  const world = await applied();
  world.host.on(['docker', 'run'], () => t.fail('must not run') && {});
  await world.apply(platform({ web: '2' }));
  t.equal(world.containerId('web') !== undefined, true);
});

t.test('what a killed run left in staging does not reach the next check', async (t) => {
  const world = await applied();
  const stale = `${PATHS.staging}${PATHS.stack}/nginx/stale.conf`;
  world.host.files.write(stale, Buffer.from('bad'), { mode: 0o644, uid: 0, gid: 0 });
  world.host.on(['docker', 'run'], () => {
    t.equal(world.text(stale), undefined);
    return {};
  });
  await world.apply(platform(CHANGED));
  t.strictSame(world.host.files.list(PATHS.staging), []);
});
