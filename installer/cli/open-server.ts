import { DockerEngine } from '../engine/docker.ts';
import { LocalHost } from '../host/local.ts';
import type { Server } from './context.ts';

/** Opens this machine, or another one as `user@host[:port]`. */
export async function openServer(target: string | undefined): Promise<Server> {
  if (target !== undefined) {
    const { openRemoteServer } = await import('./open-remote.ts');
    return openRemoteServer(target);
  }
  return { host: new LocalHost(), engine: new DockerEngine() };
}
