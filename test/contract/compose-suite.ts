import { posix } from 'node:path';
import type { Test } from 'tap';
import {
  COMPOSE_FILE,
  COMPOSE_SECRETS_FILE,
  type ComposeProject,
  composeCheck,
  composeRemove,
  composeRestart,
  composeStop,
  composeUp,
} from '../../installer/engine/compose.ts';
import type { ContainerState, Engine } from '../../installer/engine/engine.ts';
import {
  connectNetwork,
  createNetwork,
  disconnectNetwork,
  removeContainers,
  removeNetwork,
  startContainers,
  stopContainers,
} from '../../installer/engine/objects.ts';
import type { Host } from '../../installer/host/host.ts';
import { LABELS } from '../../installer/model/labels.ts';

export interface ComposeUnderTest {
  readonly host: Host;
  readonly engine: Engine;
  readonly project: ComposeProject;
  /** A present image with `sleep` and `sh`. */
  readonly image: string;
}

interface ServiceText {
  readonly scale?: number;
  readonly label?: string;
  readonly image?: string;
  readonly source?: string;
  readonly dependsOn?: string;
}

/** What the compose commands do to the engine's containers. */
export function composeSuite(t: Test, begin: (t: Test) => Promise<ComposeUnderTest>): void {
  async function start(t: Test) {
    const { host, engine, project, image } = await begin(t);
    const write = async (services: Readonly<Record<string, ServiceText>>): Promise<void> => {
      const text = composeText(project.project, image, services);
      await host.write(posix.join(project.directory, COMPOSE_FILE), text, ROOT_FILE);
    };
    const ids = async (service: string): Promise<string[]> => {
      const containers = await engine.containers({
        'com.docker.compose.project': project.project,
        'com.docker.compose.service': service,
      });
      return containers.map(({ id }) => id);
    };
    const one = async (service: string): Promise<ContainerState | undefined> => {
      const [found] = await engine.containers({
        'com.docker.compose.project': project.project,
        'com.docker.compose.service': service,
      });
      return found;
    };
    return { host, engine, project, write, ids, one };
  }

  t.test('up creates what is asked for, and nothing else', async (t) => {
    const { host, engine, project, write, ids, one } = await start(t);
    await write({ a: { scale: 2, label: 'x', dependsOn: 'b' }, b: {} });
    await host.run(composeUp(project, [{ service: 'a' }], { recreate: false }));
    t.equal((await ids('a')).length, 2);
    t.equal((await ids('b')).length, 0);
    t.match(await one('a'), {
      name: `${project.project}-a-1`,
      service: 'a',
      status: 'running',
      labels: { mark: 'x', 'com.docker.compose.container-number': '1' },
    });
    const networks = await engine.networks({ owner: project.project });
    t.match(networks, [{ name: `${project.project}_net` }]);
    const volumes = await engine.volumes({ owner: project.project });
    t.match(volumes, [{ name: `${project.project}_data` }]);
  });

  t.test('without recreate a container keeps its id whatever the file says', async (t) => {
    const { host, project, write, one } = await start(t);
    await write({ a: { label: 'old' } });
    const up = composeUp(project, [{ service: 'a' }], { recreate: false });
    await host.run(up);
    const before = await one('a');
    await write({ a: { label: 'new' } });
    await host.run(up);
    const after = await one('a');
    t.strictSame(
      [after?.id, after?.startedAt, after?.labels['mark']],
      [before?.id, before?.startedAt, 'old'],
    );
  });

  t.test('with recreate all of its containers are new, the others as they were', async (t) => {
    const { host, project, write, ids, one } = await start(t);
    await write({ a: { scale: 2, label: 'old' }, b: {} });
    await host.run(composeUp(project, [{ service: 'a' }, { service: 'b' }], { recreate: false }));
    const [a, b] = [await ids('a'), await ids('b')];
    await write({ a: { scale: 2, label: 'new' }, b: { label: 'new' } });
    await host.run(composeUp(project, [{ service: 'a' }], { recreate: true, stopSeconds: 1 }));
    const fresh = await ids('a');
    t.equal(fresh.length, 2);
    t.notOk(fresh.some((id) => a.includes(id)));
    t.equal((await one('a'))?.labels['mark'], 'new');
    t.equal((await one('a'))?.name, `${project.project}-a-1`);
    t.strictSame(await ids('b'), b);
  });

  t.test('scaling keeps the containers that stay', async (t) => {
    const { host, project, write, ids } = await start(t);
    await write({ a: {} });
    const scale = (replicas: number) =>
      composeUp(project, [{ service: 'a', scale: replicas }], { recreate: false });
    await host.run(scale(1));
    const [first] = await ids('a');
    await host.run(scale(3));
    const three = await ids('a');
    t.equal(three.length, 3);
    t.equal(three[0], first);
    await host.run(scale(1));
    t.strictSame(await ids('a'), [first]);
  });

  t.test('stop keeps a container, up starts the same one again', async (t) => {
    const { host, project, write, one } = await start(t);
    await write({ a: {} });
    const up = composeUp(project, [{ service: 'a' }], { recreate: false });
    await host.run(up);
    const id = (await one('a'))?.id;
    await host.run(composeStop(project, ['a']));
    t.match(await one('a'), { id, status: 'exited' });
    await host.run(up);
    t.match(await one('a'), { id, status: 'running' });
  });

  t.test('restart keeps the id and starts anew', async (t) => {
    const { host, project, write, one } = await start(t);
    await write({ a: {}, b: {} });
    await host.run(composeUp(project, [{ service: 'a' }, { service: 'b' }], { recreate: false }));
    const [a, b] = [await one('a'), await one('b')];
    await host.run(composeRestart(project, ['a']));
    const after = await one('a');
    t.equal(after?.id, a?.id);
    t.not(after?.startedAt, a?.startedAt);
    t.equal((await one('b'))?.startedAt, b?.startedAt);
  });

  t.test('rm removes the containers of a service and keeps its volume', async (t) => {
    const { host, engine, project, write, ids } = await start(t);
    await write({ a: {}, b: {} });
    await host.run(composeUp(project, [{ service: 'a' }, { service: 'b' }], { recreate: false }));
    await host.run(composeRemove(project, ['a']));
    t.equal((await ids('a')).length, 0);
    t.equal((await ids('b')).length, 1);
    t.equal((await engine.volumes({ owner: project.project })).length, 1);
  });

  t.test('containers are stopped, started and removed by id', async (t) => {
    const { host, project, write, one } = await start(t);
    await write({ a: {} });
    await host.run(composeUp(project, [{ service: 'a' }], { recreate: false }));
    const id = (await one('a'))?.id ?? '';
    await host.run(stopContainers([id]));
    t.equal((await one('a'))?.status, 'exited');
    await host.run(startContainers([id]));
    t.equal((await one('a'))?.status, 'running');
    await host.run(removeContainers([id]));
    t.equal(await one('a'), undefined);
  });

  t.test('networks: containers join and leave them running and stopped', async (t) => {
    const { host, engine, project, write, one } = await start(t);
    await write({ a: {} });
    await host.run(composeUp(project, [{ service: 'a' }], { recreate: false }));
    const id = (await one('a'))?.id ?? '';
    const [own, more] = [`${project.project}_net`, `${project.project}_more`];
    const mine = async () =>
      (await engine.networks({ [LABELS.project]: project.project })).map(({ name }) => name);
    const network = { project: project.project, name: more, subnet: '10.212.77.0/26' };
    const remove = () => host.run({ ...removeNetwork(more), okExitCodes: [0, 1] });
    t.teardown(remove);
    await host.run(createNetwork({ ...network, internal: true }));
    t.strictSame(await mine(), [more]);
    await t.rejects(host.run(createNetwork({ ...network, internal: true })), {
      name: 'CommandError',
      why: /already exists/,
    });
    await host.run(connectNetwork(more, id, 'a'));
    t.strictSame((await one('a'))?.networks, [more, own].sort());
    await t.rejects(host.run(connectNetwork(more, id, 'a')), {
      name: 'CommandError',
      why: /already exists in network/,
    });
    await t.rejects(host.run(removeNetwork(more)), {
      name: 'CommandError',
      why: /has active endpoints/,
    });
    await host.run(stopContainers([id]));
    t.strictSame((await one('a'))?.networks, [more, own].sort(), 'a stopped one tells them too');
    await host.run(disconnectNetwork(more, id));
    t.strictSame((await one('a'))?.networks, [own]);
    await t.rejects(host.run(disconnectNetwork(more, id)), {
      name: 'CommandError',
      why: /is not connected/,
    });
    await host.run(connectNetwork(more, id, 'a'));
    await host.run(startContainers([id]));
    t.equal((await one('a'))?.status, 'running');
    await host.run(disconnectNetwork(more, id));
    await host.run(removeNetwork(more));
    t.strictSame(await mine(), []);
  });

  t.test('a second file with secret environment is merged over the first', async (t) => {
    const { host, project, write } = await start(t);
    await write({ a: {} });
    const secrets = posix.join(project.directory, COMPOSE_SECRETS_FILE);
    const text = 'services: {a: {environment: {TOKEN: "a$$b"}}}\n';
    await host.write(secrets, text, { ...ROOT_FILE, mode: 0o600 });
    const withSecrets = { ...project, secrets: true };
    await host.run(composeUp(withSecrets, [{ service: 'a' }], { recreate: false }));
    await host.remove(secrets);
    const up = composeUp(withSecrets, [{ service: 'a' }], { recreate: false });
    await t.rejects(host.run(up), { code: 'host/command-failed', why: /no such file/ });
  });

  t.test('what cannot work is refused and says why', async (t) => {
    const { host, project, write, ids } = await start(t);
    const up = (service: string) => composeUp(project, [{ service }], { recreate: false });
    await write({ a: { image: 'holdfast/no-such-image:1' }, b: { source: '/no/such/folder' } });
    await t.rejects(host.run(up('a')), {
      name: 'CommandError',
      why: /No such image: holdfast\/no-such-image:1/,
    });
    await t.rejects(host.run(up('b')), {
      name: 'CommandError',
      why: /bind source path does not exist/,
    });
    await t.rejects(host.run(up('c')), { name: 'CommandError', why: /no such service: c/ });
    t.equal((await ids('a')).length, 0);
  });

  t.test('a candidate is checked before it is written', async (t) => {
    const { host, project } = await start(t);
    await host.run(composeCheck(project, 'services: {a: {image: x}}\n'));
    const check = composeCheck(project, 'services: [a, b]\n');
    await t.rejects(host.run(check), {
      code: 'host/command-failed',
      why: /services must be a mapping/,
    });
  });
}

const ROOT_FILE = { mode: 0o644, uid: 0, gid: 0 };

function composeText(
  project: string,
  image: string,
  services: Readonly<Record<string, ServiceText>>,
): string {
  const own = { owner: project, 'io.holdfast.test': '1' };
  return JSON.stringify({
    name: project,
    services: Object.fromEntries(
      Object.entries(services).map(([name, service]) => [
        name,
        {
          image: service.image ?? image,
          command: ['sleep', '600'],
          init: true,
          scale: service.scale ?? 1,
          ...(service.dependsOn === undefined
            ? {}
            : { depends_on: { [service.dependsOn]: { condition: 'service_started' } } }),
          labels: { ...own, mark: service.label ?? '' },
          networks: { net: null },
          volumes: [
            { type: 'volume', source: 'data', target: '/data' },
            ...(service.source === undefined
              ? []
              : [
                  {
                    type: 'bind',
                    source: service.source,
                    target: '/bound',
                    bind: { create_host_path: false },
                  },
                ]),
          ],
        },
      ]),
    ),
    networks: { net: { name: `${project}_net`, labels: own } },
    volumes: { data: { name: `${project}_data`, labels: own } },
  });
}
