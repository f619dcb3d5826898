import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { posix } from 'node:path';
import { type Config, NodeSSH } from 'node-ssh';
import { AppError } from '../errors.ts';
import { hostKeyOf, KnownHosts } from './known-hosts.ts';
import { knownHostsName, type SshTarget } from './ssh-target.ts';

export interface SshLogin {
  readonly target: SshTarget;
  /** Private key in OpenSSH's or PEM format; the usual ones of `~/.ssh` when absent. */
  readonly keyFile?: string;
  /** Socket of an ssh-agent, usually `$SSH_AUTH_SOCK`; tried before key files. */
  readonly agentSocket?: string;
  /** File of ours that remembers the keys of servers. */
  readonly knownHostsFile: string;
}

/** How long connecting and logging in may take, seconds. */
const LOGIN_SECONDS = 20;

/** A silent server is asked for a sign of life at this interval, and given up after four without one, seconds. */
const KEEPALIVE_SECONDS = 15;

const USUAL_KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

/**
 * Logs in. A server that was never met is remembered; one whose key changed is refused.
 * @throws AppError `host/unreachable`, `host/authentication-failed`, `host/host-key-changed`
 */
export async function logIn(login: SshLogin): Promise<NodeSSH> {
  const { target } = login;
  const knownHosts = new KnownHosts(login.knownHostsFile);
  const name = knownHostsName(target);
  let refused: unknown;
  const config: Config = {
    host: target.address,
    port: target.port,
    username: target.user,
    readyTimeout: LOGIN_SECONDS * 1000,
    keepaliveInterval: KEEPALIVE_SECONDS * 1000,
    keepaliveCountMax: 4,
    algorithms: { serverHostKey: await knownHosts.algorithmsFor(name) },
    hostVerifier: (blob: Buffer, verify: (valid: boolean) => void): void => {
      knownHosts.check(name, hostKeyOf(blob)).then(
        () => verify(true),
        (error: unknown) => {
          refused = error;
          verify(false);
        },
      );
    },
    authHandler: await waysIn(login),
  };
  const ssh = new NodeSSH();
  try {
    await ssh.connect(config);
  } catch (error) {
    ssh.dispose();
    if (refused instanceof Error) throw refused;
    throw connectError(login, error);
  }
  return ssh;
}

type WayIn =
  | { type: 'agent'; username: string; agent: string }
  | { type: 'publickey'; username: string; key: Buffer };

/** In the order in which they are tried. Keys with a passphrase are passed over: the agent opens those. */
async function waysIn({ target, keyFile, agentSocket }: SshLogin): Promise<WayIn[]> {
  const username = target.user;
  const ways: WayIn[] = [];
  if (keyFile !== undefined) {
    ways.push({ type: 'publickey', username, key: await readKey(keyFile) });
  }
  if (agentSocket !== undefined && agentSocket !== '') {
    ways.push({ type: 'agent', username, agent: agentSocket });
  }
  for (const name of keyFile === undefined ? USUAL_KEYS : []) {
    const key = await readIfPresent(posix.join(homedir(), '.ssh', name));
    if (key !== undefined) ways.push({ type: 'publickey', username, key });
  }
  return ways;
}

async function readKey(path: string): Promise<Buffer> {
  const key = await readIfPresent(path);
  if (key !== undefined) return key;
  throw new AppError({
    code: 'usage/no-key-file',
    what: `there is no key file ${path}`,
    hint: 'name the private key that the server knows, or make one with `ssh-keygen -t ed25519`',
  });
}

async function readIfPresent(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function connectError({ target }: SshLogin, error: unknown): AppError {
  const { user, address, port } = target;
  const { message, level } = error as Error & { level?: string };
  if (level === 'client-authentication') {
    return new AppError({
      code: 'host/authentication-failed',
      what: `${address} lets ${user} in with none of the keys at hand`,
      why: message,
      hint: `try \`ssh -p ${port} ${user}@${address} true\`; a key with a passphrase has to be in ssh-agent`,
      cause: error,
    });
  }
  return new AppError({
    code: 'host/unreachable',
    what: `cannot connect to ${address} port ${port}`,
    why: message,
    hint: `try \`ssh -p ${port} ${user}@${address} true\` and check the address, the firewall and that sshd runs`,
    cause: error,
  });
}
