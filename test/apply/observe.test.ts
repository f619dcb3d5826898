import t from 'tap';
import { hostFacts } from '../../installer/apply/facts.ts';
import { observeDesired, observeServer } from '../../installer/apply/observe.ts';
import { LABELS } from '../../installer/model/labels.ts';
import { desiredFile, desiredWith } from '../support/desired.ts';
import { PATHS, World } from './world.ts';

const FOLDER = PATHS.stack;

function write(world: World, path: string, text: string, mode = 0o644): void {
  world.host.files.write(path, Buffer.from(text), { mode, uid: 0, gid: 0 });
}

async function observedFile(world: World, path: string, wanted = desiredFile(path, 'new')) {
  const server = await observeServer(world.context);
  const observed = await observeDesired(world.context, server, desiredWith({ fileList: [wanted] }));
  return observed.files.get(path);
}

t.test('the text of a file that differs is read for the diff', async (t) => {
  const world = new World();
  write(world, `${FOLDER}/a`, 'old');
  t.match(await observedFile(world, `${FOLDER}/a`), { content: 'old', mode: 0o644 });
});

t.test(
  'the text of a secret is never read, neither of what is one nor of what was one',
  async (t) => {
    const world = new World();
    const path = `${FOLDER}/a`;
    write(world, path, 'old');
    const secret = desiredFile(path, 'new', { secret: true, mode: 0o600 });
    t.equal((await observedFile(world, path, secret))?.content, undefined, 'becomes a secret');
    write(world, path, 'old', 0o600);
    t.equal((await observedFile(world, path))?.content, undefined, 'was a secret');
  },
);

t.test('a huge file is hashed and not read', async (t) => {
  const world = new World();
  write(world, `${FOLDER}/a`, 'x'.repeat(1024 * 1024 + 1));
  const found = await observedFile(world, `${FOLDER}/a`);
  t.equal(found?.content, undefined);
  t.match(found?.sha256, /^[0-9a-f]{64}$/);
});

t.test('a folder where a file is wanted is seen as something else', async (t) => {
  const world = new World();
  world.host.files.makeDirectory(`${FOLDER}/a`, { mode: 0o755, uid: 0, gid: 0 });
  t.equal((await observedFile(world, `${FOLDER}/a`))?.sha256, 'not a regular file');
});

t.test('hundreds of files take two program runs', async (t) => {
  const world = new World();
  const fileList = Array.from({ length: 400 }, (_, index) =>
    desiredFile(`${FOLDER}/folder/file-${index}`, 'same'),
  );
  for (const { path, content } of fileList) write(world, path, content);
  const server = await observeServer(world.context);
  const run = world.host.run.bind(world.host);
  let runs = 0;
  world.host.run = (command) => {
    runs += 1;
    return run(command);
  };
  const observed = await observeDesired(world.context, server, desiredWith({ fileList }));
  t.equal(observed.files.size, 400);
  t.equal(runs, 2);
});

t.test('containers of other projects and one-offs are not of the stack', async (t) => {
  const world = new World();
  world.engine.addImage('image');
  const create = (name: string, service: string, project: string) =>
    world.engine.create({
      name,
      service,
      image: 'image',
      labels: { [LABELS.project]: project, [LABELS.spec]: 'spec' },
      checked: false,
      memoryLimit: 0,
      networks: [],
    });
  world.engine.start(create('ours', 'web', 'demo').id);
  create('one-off', '', 'demo');
  create('theirs', 'web', 'other');
  const { containers } = await observeServer(world.context);
  t.match(containers, [
    { name: 'ours', service: 'web', spec: 'spec', running: true, healthy: true },
  ]);
  t.equal(containers.length, 1);
});

t.test('the facts of the machine are read', async (t) => {
  const { host } = new World();
  t.strictSame(await hostFacts(host), {
    memoryBytes: 4 * 1024 ** 3,
    cores: 2,
    architecture: 'x64',
    distribution: { id: 'debian', version: '13' },
    systemd: true,
    nft: false,
    ssh: { ports: [] },
    otherFirewalls: [],
    ipv6: false,
  });
});

t.test(
  'inside a container VPS the memory is its own, not that of the machine around it',
  async (t) => {
    const world = new World();
    write(world, '/sys/fs/cgroup/memory.max', `${1024 ** 3}\n`);
    t.equal((await hostFacts(world.host)).memoryBytes, 1024 ** 3);
    write(world, '/sys/fs/cgroup/memory.max', 'max\n');
    t.equal((await hostFacts(world.host)).memoryBytes, 4 * 1024 ** 3);
  },
);

t.test('an architecture that holdfast does not run on is refused', async (t) => {
  const { host } = new World();
  host.on(['uname', '-m'], () => ({ stdout: 'riscv64\n' }), { looks: true });
  await t.rejects(hostFacts(host), { code: 'preflight/architecture', why: /x86_64 and aarch64/ });
});
