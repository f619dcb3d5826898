/** A rendered stack of services, Postgres and Redis on the real engine, under a project and subnets of its own. */

import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNetwork } from '../../../installer/engine/objects.ts';
import type { Provision } from '../../../installer/model/contribution.ts';
import type { Desired } from '../../../installer/model/desired.ts';
import { EMPTY_LOCK } from '../../../installer/model/lock-file.ts';
import { engineName } from '../../../installer/model/stack.ts';
import type { InputOptions } from '../../support/component-input.ts';
import { writeDesired } from '../../support/containers.ts';
import { renderedData } from '../../support/rendered.ts';
import { type Cleaning, docker, type Output, outcome } from './docker.ts';
import { ownBlock } from './own-block.ts';
import { platformImages } from './platform-images.ts';

export interface DataStack {
  readonly project: string;
  /** Put before every path of the server. */
  readonly root: string;
  readonly desired: Desired;
  readonly images: Readonly<Record<string, string>>;
  /** Renders another config for the same server and writes its files; starts nothing. */
  change(body: string, stored?: Readonly<Record<string, string>>): Promise<Desired>;
  up(...services: string[]): Promise<void>;
  /** Runs a provision as apply does. */
  provision(provision: Provision | undefined): Promise<Output>;
  exec(service: string, argv: readonly string[], options?: ExecOptions): Promise<Output>;
  /** A throw-away container of the same image in one of the stack's networks. */
  client(
    image: string,
    network: string,
    argv: readonly string[],
    env?: readonly string[],
  ): Promise<Output>;
  logs(service: string): Promise<string>;
}

export interface ExecOptions {
  readonly user?: string;
  readonly env?: readonly string[];
  readonly stdin?: string;
}

/**
 * Everything of the stack is gone when the test ends, volumes too. `IMAGE` in the body is one that runs Node;
 * `others` stand in the place of the usual images.
 */
export async function dataStack(
  t: Cleaning,
  body: string,
  stored: Readonly<Record<string, string>> = {},
  others: Readonly<Record<string, string>> = {},
): Promise<DataStack> {
  const images = { ...(await platformImages('postgres', 'redis', 'node')), ...others };
  const project = `hf${randomInt(1e9).toString(36)}`;
  const root = await mkdtemp(join(tmpdir(), `${project}-`));
  // Two values of the third octet: no config of a test has more than eight networks.
  const block = 2 * (await ownBlock('10.219', 128));
  let subnets: Record<string, string> = {};

  const draw = (text: string, values: Readonly<Record<string, string>>): Desired => {
    const options: InputOptions = { stored: values, images, root };
    const config = `project: ${project}\n${text.replaceAll('IMAGE', images['node'] ?? '')}`;
    const names = Object.keys(renderedData(config, options).stack.networks);
    for (const name of names)
      subnets = { ...subnets, [name]: subnets[name] ?? subnetAt(subnets, block) };
    return renderedData(config, options, { ...EMPTY_LOCK, subnets });
  };
  const networks = new Set<string>();
  /** An apply makes them; here compose is asked directly. */
  const makeNetworks = async ({ stack }: Desired): Promise<void> => {
    for (const [key, { subnet, internal }] of Object.entries(stack.networks)) {
      const name = engineName(project, key);
      if (networks.has(name)) continue;
      const [, ...argv] = createNetwork({ project, name, subnet, internal }).argv;
      await docker(...argv);
      networks.add(name);
    }
  };
  const first = draw(body, stored);
  await makeNetworks(first);
  await writeDesired(first);
  const folder = join(root, 'var/lib/holdfast/stack');
  const compose = (...args: string[]) =>
    docker(
      'compose',
      '-f',
      `${folder}/compose.yaml`,
      '-f',
      `${folder}/compose.secrets.yaml`,
      ...args,
    );

  t.teardown(async () => {
    await compose('down', '--volumes', '--timeout', '5', '--remove-orphans');
    for (const name of networks) await docker('network', 'rm', name);
    rmSync(root, { recursive: true });
  });
  const container = (service: string) => `${project}-${service}-1`;
  const exec = (
    service: string,
    argv: readonly string[],
    { user, stdin, env = [] }: ExecOptions = {},
  ) =>
    withInput(
      [
        'exec',
        '-i',
        ...(user === undefined ? [] : ['-u', user]),
        ...env.flatMap((entry) => ['-e', entry]),
        container(service),
        ...argv,
      ],
      stdin ?? '',
    );
  return {
    project,
    root,
    desired: first,
    images,
    exec,
    async change(text, values = {}) {
      const desired = draw(text, { ...stored, ...values });
      await makeNetworks(desired);
      await writeDesired(desired);
      return desired;
    },
    up: async (...services) => {
      await compose('up', '--detach', '--wait', '--pull', 'never', ...services);
    },
    provision(provision) {
      if (provision === undefined) throw new Error('there is no such provision');
      const { service, argv, stdin, user } = provision;
      return exec(service, argv, { stdin, ...(user !== undefined && { user }) });
    },
    client: (image, network, argv, env = []) =>
      outcome([
        'docker',
        'run',
        '--rm',
        '--label',
        'io.holdfast.test=1',
        '--network',
        `${project}_${network}`,
        ...env.flatMap((entry) => ['-e', entry]),
        '--entrypoint',
        argv[0] ?? '',
        images[image] ?? '',
        ...argv.slice(1),
      ]),
    logs: async (service) => {
      const { stdout, stderr } = await outcome(['docker', 'logs', container(service)]);
      return stdout + stderr;
    },
  };
}

function subnetAt(taken: Readonly<Record<string, string>>, block: number): string {
  const index = Object.keys(taken).length;
  if (index >= 8) throw new Error('more networks than the stack has addresses');
  return `10.219.${block + Math.floor(index / 4)}.${(index % 4) * 64}/26`;
}

function withInput(args: readonly string[], stdin: string): Promise<Output> {
  return new Promise((resolve) => {
    const child = execFile('docker', [...args], (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
    child.stdin?.end(stdin);
  });
}
