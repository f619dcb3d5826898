import { parse } from 'yaml';
import type { ContainerState } from '../../installer/engine/engine.ts';
import { LABELS } from '../../installer/model/labels.ts';
import type { FakeEngine } from './fake-engine.ts';
import type { ContainerSpec } from './fake-objects.ts';
import type { Call, MemoryHost } from './memory-host.ts';

interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeFileService>>;
  readonly networks?: Readonly<
    Record<string, Named & { external?: boolean; ipam?: { config?: { subnet: string }[] } }>
  >;
  readonly volumes?: Readonly<Record<string, Named | null>>;
}

interface Named {
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

interface ComposeFileService {
  readonly extends?: { readonly service: string };
  readonly image: string;
  readonly scale?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly mem_limit?: number;
  readonly networks?: Readonly<Record<string, { aliases?: readonly string[] } | null>>;
  readonly volumes?: readonly {
    type: string;
    source: string;
    bind?: { create_host_path?: boolean };
  }[];
}

/** What the docker program answers when it refuses. */
export class Refusal extends Error {}

/** The verbs of `docker compose` that holdfast uses, on the files of the host and the objects of the engine. */
export function compose(
  host: MemoryHost,
  engine: FakeEngine,
  { rest, stdin }: Call,
): string | undefined {
  const verb = rest.findIndex((word) =>
    ['up', 'run', 'restart', 'stop', 'rm', 'config'].includes(word),
  );
  const options = rest.slice(0, verb);
  const project = flag(options, '--project-name') ?? '';
  const files = options.flatMap((word, index) => (word === '--file' ? [options[index + 1]] : []));
  const texts = files.map((path) =>
    path === '-' ? stdin.toString() : host.files.text(path ?? ''),
  );
  const missing = texts.indexOf(undefined);
  if (missing !== -1) throw new Refusal(`open ${files[missing]}: no such file or directory`);
  const written = unescapeDollars(parse(texts[0] ?? '')) as ComposeFile;
  if (written?.services === undefined || Array.isArray(written.services))
    throw new Refusal('services must be a mapping');
  const file = { ...written, services: extended(written.services) };

  const after = rest.slice(verb + 1);
  // What follows the service of `run` is its command.
  const named = rest[verb] === 'run' ? words(after).slice(0, 1) : words(after);
  const services = named.filter((word) => word in file.services);
  const unknown = named.find((word) => !(word in file.services));
  if (unknown !== undefined) throw new Refusal(`no such service: ${unknown}`);
  const existing = services.flatMap((service) => replicas(engine, project, service));
  switch (rest[verb]) {
    case 'up':
      for (const service of services) up(host, engine, { project, file, service, options: after });
      return undefined;
    case 'run':
      for (const service of services) runBeside(engine, { project, file, service, options: after });
      return undefined;
    case 'restart':
      for (const { id } of existing) engine.start(id);
      return undefined;
    case 'stop':
      for (const { id } of existing) engine.stop(id);
      return undefined;
    case 'rm':
      for (const { id } of existing) engine.remove(id);
      return undefined;
    case 'config':
      return undefined;
    default:
      throw new Refusal(`unknown docker command: "compose ${rest.join(' ')}"`);
  }
}

function extended(services: ComposeFile['services']): ComposeFile['services'] {
  return Object.fromEntries(
    Object.entries(services).map(([name, own]) => {
      const base = services[own.extends?.service ?? ''];
      return [name, { ...base, ...own, labels: { ...base?.labels, ...own.labels } }];
    }),
  );
}

interface Up {
  readonly project: string;
  readonly file: ComposeFile;
  readonly service: string;
  readonly options: readonly string[];
}

function up(host: MemoryHost, engine: FakeEngine, { project, file, service, options }: Up): void {
  const definition = file.services[service];
  if (definition === undefined) return;
  if (!engine.images.has(definition.image)) throw new Refusal(`No such image: ${definition.image}`);
  for (const { type, source, bind } of definition.volumes ?? []) {
    if (type === 'bind' && bind?.create_host_path === false && !host.files.stat(source)) {
      throw new Refusal(
        `invalid mount config for type "bind": bind source path does not exist: ${source}`,
      );
    }
    if (type === 'volume') createVolume(engine, file, source);
  }
  for (const network of Object.keys(definition.networks ?? {}))
    composeNetwork(engine, file, network);

  const scales = options.flatMap((word, index) => (word === '--scale' ? [options[index + 1]] : []));
  const asked = scales.find((one) => one?.startsWith(`${service}=`))?.split('=')[1];
  const scale = Number(asked ?? definition.scale ?? 1);
  const existing = replicas(engine, project, service);
  for (const { id } of existing.slice(scale)) engine.remove(id);
  for (let number = 1; number <= scale; number += 1) {
    const current = existing[number - 1];
    if (current !== undefined && !options.includes('--force-recreate')) {
      if (current.status !== 'running') engine.start(current.id);
      continue;
    }
    if (current !== undefined) engine.remove(current.id);
    engine.start(createReplica(engine, { project, file, service, options }, definition, number).id);
  }
}

/** One container more, on no DNS name of the service. */
function runBeside(engine: FakeEngine, { project, file, service, options }: Up): void {
  const definition = file.services[service];
  const name = flag(options, '--name');
  if (definition === undefined || name === undefined) throw new Refusal('run what, and as what?');
  if (engine.all().some((one) => one.name === name)) throw new Refusal(`${name} is already in use`);
  const labels = options.flatMap((word, index) => {
    const [key = '', value = ''] = options[index + 1]?.split('=') ?? [];
    return word === '--label' ? [[key, value] as const] : [];
  });
  const up = { project, file, service, options };
  const beside = { name, service: '', aliases: {} };
  const more = { 'com.docker.compose.oneoff': 'True', ...Object.fromEntries(labels) };
  engine.start(createReplica(engine, up, definition, 1, { ...beside, more }).id);
}

function createReplica(
  engine: FakeEngine,
  { project, file, service }: Up,
  definition: ComposeFileService,
  number: number,
  { more = {}, ...beside }: Partial<ContainerSpec> & { more?: Record<string, string> } = {},
): ContainerState {
  return engine.create({
    name: `${project}-${service}-${number}`,
    service: definition.labels?.[LABELS.service] ?? service,
    image: definition.image,
    checked: definition.healthcheck !== undefined && definition.healthcheck.test[0] !== 'NONE',
    memoryLimit: definition.mem_limit ?? 0,
    networks: Object.keys(definition.networks ?? {}).map(
      (one) => file.networks?.[one]?.name ?? one,
    ),
    aliases: Object.fromEntries(
      Object.entries(definition.networks ?? {}).map(([one, options]) => [
        file.networks?.[one]?.name ?? one,
        [service, ...(options?.aliases ?? [])],
      ]),
    ),
    labels: {
      ...definition.labels,
      'com.docker.compose.project': project,
      'com.docker.compose.service': service,
      'com.docker.compose.container-number': String(number),
      ...more,
    },
    ...beside,
  });
}

function replicas(engine: FakeEngine, project: string, service: string): ContainerState[] {
  const number = ({ labels }: ContainerState) =>
    Number(labels['com.docker.compose.container-number']);
  return engine
    .all()
    .filter(
      (one) =>
        one.labels['com.docker.compose.project'] === project &&
        one.labels['com.docker.compose.service'] === service &&
        one.labels['com.docker.compose.oneoff'] === undefined,
    )
    .sort((a, b) => number(a) - number(b));
}

function createVolume(engine: FakeEngine, file: ComposeFile, key: string): void {
  const name = file.volumes?.[key]?.name ?? key;
  if (!engine.volumeLabels.has(name)) {
    engine.volumeLabels.set(name, file.volumes?.[key]?.labels ?? {});
  }
}

function composeNetwork(engine: FakeEngine, file: ComposeFile, key: string): void {
  const { name = key, external = false, labels = {}, ipam } = file.networks?.[key] ?? {};
  if (engine.networkStates.has(name)) return;
  if (external) throw new Refusal(`network ${name} declared as external, but could not be found`);
  engine.networkStates.set(name, { subnet: ipam?.config?.[0]?.subnet ?? '', labels });
}

const WITH_VALUE = ['--scale', '--pull', '--timeout', '--name', '--label', '--publish'];

/** The words that are neither flags nor values of flags. */
export function words(options: readonly string[]): string[] {
  return options.filter(
    (word, index) => !word.startsWith('-') && !WITH_VALUE.includes(options[index - 1] ?? ''),
  );
}

export function flag(options: readonly string[], name: string): string | undefined {
  const index = options.indexOf(name);
  return index === -1 ? undefined : options[index + 1];
}

function unescapeDollars(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('$$', '$');
  if (Array.isArray(value)) return value.map(unescapeDollars);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, unescapeDollars(one)]));
}
