import { execFile } from 'node:child_process';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { Desired } from '../../installer/model/desired.ts';
import { PLATFORM_IMAGES } from '../../installer/model/images.ts';
import type { StackService } from '../../installer/model/stack.ts';
import { platformImages } from '../integration/support/platform-images.ts';
import { lookUntil } from './look-until.ts';

const execute = promisify(execFile);

/** Runs `docker` and gives its standard output, trimmed. */
export async function docker(...args: string[]): Promise<string> {
  const { stdout } = await execute('docker', args, { maxBuffer: 64 * 1024 ** 2 });
  return stdout.trim();
}

/** Both outputs of a container. */
export async function logsOf(container: string): Promise<string> {
  const { stdout, stderr } = await execute('docker', ['logs', container]);
  return stdout + stderr;
}

const DEBIAN_IMAGES = PLATFORM_IMAGES.filter((name) => name !== 'grafana');
let images: Promise<Record<string, string>> | undefined;

/** Reference of the Debian image of a platform part, such as `nginx`; all are built when one is missing. */
export async function builtImage(name: string): Promise<string> {
  images ??= platformImages(...DEBIAN_IMAGES);
  const reference = (await images)[name];
  if (reference !== undefined) return reference;
  throw new Error(`there is no Debian image of ${name}`);
}

/** Writes the files and folders of a desired state, as an apply does. */
export async function writeDesired(desired: Desired): Promise<void> {
  for (const { path, mode, uid, gid } of desired.directories) {
    await mkdir(path, { recursive: true, mode });
    await chown(path, uid, gid);
  }
  for (const { path, content, mode, uid, gid } of desired.files.values()) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content, { mode });
    await chown(path, uid, gid);
  }
}

interface Owned {
  readonly containers: string[];
  readonly networks: string[];
}

/** Containers and networks of one test, labelled as such, removed together. */
export class TestStack {
  readonly #owned: Owned = { containers: [], networks: [] };

  async network(): Promise<string> {
    const name = `holdfast-test-${crypto.randomUUID().slice(0, 8)}`;
    this.#owned.networks.push(
      await docker('network', 'create', '--label', 'io.holdfast.test=1', name),
    );
    return name;
  }

  /** Starts a container and gives its id. */
  async run(
    image: string,
    options: readonly string[],
    command: readonly string[],
  ): Promise<string> {
    const labels = ['--label', 'io.holdfast.test=1'];
    const id = await docker('create', ...labels, ...options, image, ...command);
    this.#owned.containers.push(id);
    await docker('start', id);
    return id;
  }

  /** Starts a service of a stack as its fragment has it, in one network and with nothing published. */
  async service(
    service: StackService,
    network: string,
    aliases: readonly string[],
    extra: readonly string[] = [],
  ): Promise<string> {
    const [entrypoint, ...first] = service.entrypoint ?? [];
    const options = [
      ['--network', network],
      aliases.flatMap((alias) => ['--network-alias', alias]),
      service.read_only === false ? [] : ['--read-only'],
      ['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges:true'],
      ['--memory', String(service.mem_limit), '--pids-limit', String(service.pids_limit ?? 256)],
      (service.cap_add ?? []).flatMap((capability) => ['--cap-add', capability]),
      service.user === undefined ? [] : ['--user', service.user],
      service.pid === undefined ? [] : ['--pid', service.pid],
      entrypoint === undefined ? [] : ['--entrypoint', entrypoint],
      (service.tmpfs ?? []).flatMap((mount) => ['--tmpfs', mount]),
      Object.entries(service.environment ?? {}).flatMap(([key, value]) => [
        '-e',
        `${key}=${value}`,
      ]),
      (service.volumes ?? []).flatMap(mountOption),
      (service.secrets ?? []).flatMap(({ file, target }) => [
        '--mount',
        `type=bind,source=${file},target=${target},readonly`,
      ]),
      healthOptions(service),
      extra,
    ];
    return this.run(service.image, options.flat(), [...first, ...(service.command ?? [])]);
  }

  async remove(): Promise<void> {
    const { containers, networks } = this.#owned;
    if (containers.length > 0) await docker('rm', '-f', '-v', ...containers.splice(0));
    if (networks.length > 0) await docker('network', 'rm', ...networks.splice(0));
  }
}

function mountOption(mount: NonNullable<StackService['volumes']>[number]): string[] {
  // A named volume becomes an anonymous one, which goes with its container.
  const source = mount.type === 'bind' ? [`source=${mount.source}`] : [];
  const propagation =
    mount.bind?.propagation === undefined ? [] : [`bind-propagation=${mount.bind.propagation}`];
  const parts = [
    `type=${mount.type}`,
    ...source,
    `target=${mount.target}`,
    // The engine knows no anonymous volume that is read only.
    ...(mount.read_only && mount.type === 'bind' ? ['readonly'] : []),
    ...propagation,
  ];
  return ['--mount', parts.join(',')];
}

function healthOptions({ healthcheck }: StackService): string[] {
  const [kind, ...command] = healthcheck.test;
  if (kind !== 'CMD') return ['--no-healthcheck'];
  const quoted = command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  return ['--health-cmd', quoted, '--health-interval', '1s', '--health-timeout', '5s'];
}

/** Waits until `read` gives a value, for at most `seconds`, which a slow machine beside others must have; asks up to ten times a second. */
export async function waitFor<T>(
  what: string,
  read: () => Promise<T | undefined>,
  seconds = 180,
): Promise<T> {
  return await lookUntil(seconds * 1000, read, () => `${what} did not happen within ${seconds} s`);
}

export async function waitHealthy(container: string): Promise<void> {
  await waitFor(`health of ${container}`, async () => {
    const state = await docker(
      'inspect',
      '-f',
      '{{.State.Status}} {{.State.Health.Status}}',
      container,
    );
    if (state === 'running healthy') return true;
    if (state.startsWith('exited')) throw new Error(await logsOf(container));
    return undefined;
  });
}

export async function addressOf(container: string): Promise<string> {
  return docker(
    'inspect',
    '-f',
    '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}',
    container,
  );
}
