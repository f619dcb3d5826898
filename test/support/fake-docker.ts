import type { CommandResult } from '../../installer/host/host.ts';
import { compose, flag, Refusal, words } from './fake-compose.ts';
import type { FakeEngine } from './fake-engine.ts';
import type { Call, MemoryHost } from './memory-host.ts';

/** Gives the host the docker commands that holdfast uses; they change the engine. */
export function installFakeDocker(host: MemoryHost, engine: FakeEngine): void {
  const on = (words: string[], run: (call: Call) => unknown, looks = false): void => {
    host.on(['docker', ...words], (call) => answer(engine, () => run(call)), { looks });
  };
  on(['compose'], (call) => compose(host, engine, call));
  on(['pull'], ({ rest }) => pull(engine, rest.at(-1) ?? ''));
  on(['image', 'pull'], ({ rest }) => pull(engine, rest.at(-1) ?? ''));
  on(['image', 'tag'], ({ rest: [source = '', target = ''] }) => {
    const image = engine.images.get(source);
    if (image === undefined) throw new Refusal(`No such image: ${source}`);
    engine.images.set(target, { ...image, tags: [...image.tags, target] });
  });
  on(['image', 'rm'], ({ rest }) => {
    for (const reference of rest) engine.images.delete(reference);
  });
  on(['buildx', 'build'], ({ rest }) => {
    engine.addImage(flag(rest, '--tag') ?? '', { labels: labelsOf(rest) });
  });
  on(['buildx', 'bake'], ({ env }) => {
    const images = JSON.parse(env['HOLDFAST_IMAGES'] ?? '[]') as { reference: string }[];
    for (const { reference } of images) engine.addImage(reference);
  });
  on(['container', 'stop'], ({ rest }) =>
    words(rest).forEach((id) => {
      engine.stop(id);
    }),
  );
  on(['container', 'start'], ({ rest }) =>
    rest.forEach((id) => {
      engine.start(id);
    }),
  );
  on(['container', 'rm'], ({ rest }) =>
    words(rest).forEach((id) => {
      engine.remove(id);
    }),
  );
  on(['network', 'create'], ({ rest }) => createNetwork(engine, rest));
  on(['network', 'connect'], ({ rest }) => {
    const alias = flag(rest, '--alias') ?? '';
    const [network = '', id = ''] = rest.slice(-2);
    if (alias === '') throw new Refusal('without an alias');
    if (!engine.networkStates.has(network)) throw new Refusal(`network ${network} not found`);
    refusing(() => engine.connect(id, network, alias, flag(rest, '--ip')));
  });
  on(['network', 'disconnect'], ({ rest: [network = '', id = ''] }) =>
    refusing(() => engine.disconnect(id, network)),
  );
  on(['network', 'rm'], ({ rest }) =>
    rest.forEach((name) => {
      const active = engine
        .all()
        .some(({ status, networks }) => status === 'running' && networks.includes(name));
      if (active) throw new Refusal(`network ${name} has active endpoints`);
      engine.networkStates.delete(name);
    }),
  );
  on(['volume', 'rm'], ({ rest }) =>
    rest.forEach((name) => {
      engine.volumeLabels.delete(name);
    }),
  );
}

async function answer(
  engine: FakeEngine,
  run: () => unknown,
): Promise<Partial<CommandResult> | undefined> {
  if (engine.unreachable) return { exitCode: 1, stderr: 'Cannot connect to the Docker daemon' };
  try {
    const result = await run();
    return typeof result === 'string' ? { stdout: result } : {};
  } catch (error) {
    if (error instanceof Refusal) return { exitCode: 1, stderr: error.message };
    throw error;
  }
}

function pull(engine: FakeEngine, reference: string): void {
  if (engine.unavailable.has(reference)) {
    throw new Refusal(`manifest for ${reference} not found: manifest unknown`);
  }
  engine.addImage(reference);
}

function createNetwork(engine: FakeEngine, options: readonly string[]): void {
  const name = options.at(-1) ?? '';
  const subnet = flag(options, '--subnet') ?? '';
  if (engine.networkStates.has(name)) throw new Refusal(`network with name ${name} already exists`);
  if ([...engine.networkStates.values()].some((one) => one.subnet === subnet)) {
    throw new Refusal('Pool overlaps with other one on this address space');
  }
  engine.networkStates.set(name, { subnet, labels: labelsOf(options) });
}

function refusing(change: () => void): void {
  try {
    change();
  } catch (error) {
    throw error instanceof Error ? new Refusal(error.message) : error;
  }
}

function labelsOf(options: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    options.flatMap((word, index) => {
      const [key = '', value = ''] = options[index + 1]?.split('=') ?? [];
      return word === '--label' ? [[key, value]] : [];
    }),
  );
}
