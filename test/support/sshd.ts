import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { posix } from 'node:path';
import type { Test } from 'tap';
import { LocalHost } from '../../installer/host/local.ts';
import type { SshLogin } from '../../installer/host/ssh-connect.ts';

export interface TestSshd {
  readonly login: (user?: string) => SshLogin;
  readonly port: number;
  readonly knownHostsFile: string;
  /** Where the login shell looks for its start-up files. */
  readonly home: string;
  /** Cuts every connection as a dead network does: without a word. */
  readonly cut: () => void;
  /** As after a reinstallation of the server. */
  readonly changeHostKey: () => Promise<void>;
}

/**
 * Debian's sshd on a free port of loopback, with keys and a configuration of its own; ended after the test.
 * One process is started for each connection, as inetd does. `settings` are further lines of its configuration,
 * `moreKeys` further files of authorized keys.
 */
export async function startSshd(
  t: Test,
  settings: readonly string[] = [],
  moreKeys: readonly string[] = [],
): Promise<TestSshd> {
  const host = new LocalHost();
  const folder = await mkdtemp(posix.join(tmpdir(), 'holdfast-sshd-'));
  t.teardown(() => host.remove(folder, { recursive: true }));
  // sshd reads the authorized keys as the user who logs in.
  await host.makeDirectory(folder, { mode: 0o755, uid: 0, gid: 0 });
  await host.makeDirectory('/run/sshd', { mode: 0o755, uid: 0, gid: 0 });
  const keyFile = posix.join(folder, 'client');
  const hostKey = posix.join(folder, 'host_key');
  await makeKey(host, keyFile);
  await makeKey(host, hostKey);
  const home = posix.join(folder, 'home');
  await host.makeDirectory(home, { mode: 0o755, uid: 0, gid: 0 });
  const config = posix.join(folder, 'sshd_config');
  const lines = [
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${[`${keyFile}.pub`, ...moreKeys].join(' ')}`,
    'StrictModes no',
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    'PidFile none',
    // The login shell must not read what the users of this machine wrote for themselves.
    `SetEnv HOME=${home}`,
    ...settings,
  ];
  await host.write(config, `${lines.join('\n')}\n`, { mode: 0o600, uid: 0, gid: 0 });

  const pids = new Set<number>();
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    const child = spawn('/usr/sbin/sshd', ['-i', '-f', config], {
      stdio: [socket, socket, 'ignore'],
      detached: true,
    });
    if (child.pid !== undefined) pids.add(child.pid);
    child.once('exit', () => pids.delete(child.pid ?? 0));
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cut = (): void => {
    for (const pid of pids) process.kill(-pid, 'SIGKILL');
  };
  t.teardown(() => {
    cut();
    server.close();
  });
  const knownHostsFile = posix.join(folder, 'known_hosts');
  return {
    login: (user = 'root') => ({
      target: { user, address: '127.0.0.1', port },
      keyFile,
      knownHostsFile,
    }),
    port,
    knownHostsFile,
    home,
    cut,
    changeHostKey: () => makeKey(host, hostKey),
  };
}

async function makeKey(host: LocalHost, path: string): Promise<void> {
  await host.remove(path);
  await host.run({ argv: ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', path] });
}
