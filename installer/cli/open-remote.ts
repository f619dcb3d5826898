import { join } from 'node:path';
import { engineOverSsh } from '../engine/over-ssh.ts';
import { env } from '../env.ts';
import { SshHost } from '../host/ssh.ts';
import { parseSshTarget } from '../host/ssh-target.ts';
import type { Server } from './context.ts';

/** Logs in to another machine with the keys that `ssh` would take. */
export async function openRemoteServer(target: string): Promise<Server> {
  const host = await SshHost.connect({
    target: parseSshTarget(target),
    knownHostsFile: join(env.home, '.config/holdfast/known_hosts'),
    ...(env.sshKeyFile === undefined ? {} : { keyFile: env.sshKeyFile }),
    ...(env.sshAgentSocket === undefined ? {} : { agentSocket: env.sshAgentSocket }),
  });
  return { host, engine: engineOverSsh(host) };
}
