import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '../../support/component-input.ts';
import { builtImage } from '../../support/containers.ts';
import { docker } from './docker.ts';

const run = promisify(execFile);

/** Nobody listens there: the images are on this machine, and a look at the registry ends at once. */
export const STAND_IN_REPOSITORY = '127.0.0.1:1/rt';
export const RT_FOLDER = join(PACKAGE_ROOT, 'examples/rt');

/** Makes the images of `examples/rt` on this machine, under a name of the tests. */
export async function buildStandIns(): Promise<void> {
  await run('docker', ['buildx', 'bake', '-f', 'docker-bake.hcl'], {
    cwd: RT_FOLDER,
    env: {
      ...process.env,
      BUILDX_BAKE_ENTITLEMENTS_FS: '0',
      HOLDFAST_NODE_IMAGE: await builtImage('node'),
      REPOSITORY: STAND_IN_REPOSITORY,
    },
  });
}

/** A release of a service of RT that ends as soon as it starts, with this as its last words. */
export async function buildBroken(name: string, tag: string, words: string): Promise<string> {
  const reference = `${STAND_IN_REPOSITORY}/${name}:${tag}`;
  const args = { HOLDFAST_NODE_IMAGE: await builtImage('node'), NAME: name, FAULT: words };
  await docker(
    'build',
    '--quiet',
    '--tag',
    reference,
    ...Object.entries(args).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
    join(RT_FOLDER, 'stand-in'),
  );
  return reference;
}

/** Takes the images away again; containers of them must be gone. */
export async function removeStandIns(): Promise<void> {
  const listed = await docker('images', '--quiet', `${STAND_IN_REPOSITORY}/*`);
  const ids = new Set(listed.split('\n').filter((line) => line !== ''));
  if (ids.size > 0) await docker('image', 'rm', '--force', ...ids);
}

/** A bucket that everybody may read, where containers reach it; it notes what it was asked for. */
export async function startBucket(objects: Readonly<Record<string, string>>) {
  const asked: string[] = [];
  const server = createServer(({ url = '' }, response) => {
    asked.push(url);
    const body = objects[url];
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'image/svg+xml' });
    response.end(body);
  });
  await once(server.listen(0), 'listening');
  // The engine tells the address of its bridge only if that was there before it started.
  const { stdout } = await run('ip', ['-json', '-4', 'address', 'show', 'dev', 'docker0']);
  const [bridge] = JSON.parse(stdout) as { addr_info: { local: string }[] }[];
  const gateway = bridge?.addr_info[0]?.local;
  if (gateway === undefined) throw new Error('docker0 has no address');
  return {
    endpoint: `http://${gateway}:${(server.address() as AddressInfo).port}`,
    asked,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
