import { CommandError } from '../host/command-error.ts';
import type { Host } from '../host/host.ts';
import type { SshFacts, SshSession } from '../model/facts.ts';
import { readText } from './read-text.ts';

/** How SSH reaches this machine: what its server is told, what it really listens on, and who sits here now. */
export async function sshFacts(host: Host): Promise<SshFacts> {
  const [configured, listening, session] = await Promise.all([
    output(host, ['/usr/sbin/sshd', '-T']),
    output(host, ['ss', '--no-header', '--listening', '--tcp', '--numeric', '--processes']),
    host.name === 'localhost' ? ownSession(host) : remoteSession(host),
  ]);
  const ports = [...configuredPorts(configured), ...listeningPorts(listening)];
  if (session !== undefined) ports.push(session.port);
  return {
    ports: [...new Set(ports)].sort((a, b) => a - b),
    ...(session === undefined ? {} : { session }),
  };
}

/** `port 22`, and `listenaddress 192.0.2.1:22` where addresses are named; both in lower case. */
function configuredPorts(text: string): number[] {
  return [...text.matchAll(/^port (\d+)$|^listenaddress \S*:(\d+)$/gm)].map(([, port, bound]) =>
    Number(port ?? bound),
  );
}

function listeningPorts(text: string): number[] {
  return text.split('\n').flatMap((line) => {
    const port = /^LISTEN\s+\d+\s+\d+\s+\S+:(\d+)\s.*\("sshd"/.exec(line)?.[1];
    return port === undefined ? [] : [Number(port)];
  });
}

/** Every command over SSH has the session in its environment. */
async function remoteSession(host: Host): Promise<SshSession | undefined> {
  return sessionFrom(await output(host, ['printenv', 'SSH_CONNECTION']));
}

/** More levels of shells, sudo and multiplexers than a person has. */
const MOST_ANCESTORS = 40;

/** sudo forgets the session, so the processes that this one descends from are asked as well. */
async function ownSession(host: Host): Promise<SshSession | undefined> {
  let pid = process.pid;
  for (let level = 0; level < MOST_ANCESTORS && pid > 1; level += 1) {
    const [environment, status] = await Promise.all([
      readText(host, `/proc/${pid}/environ`),
      readText(host, `/proc/${pid}/stat`),
    ]);
    const found = environment?.split('\0').find((entry) => entry.startsWith('SSH_CONNECTION='));
    if (found !== undefined) return sessionFrom(found.slice('SSH_CONNECTION='.length));
    // The name of the program, in brackets, may hold anything.
    pid = Number(/^.*\) \S (\d+) /s.exec(status ?? '')?.[1] ?? 0);
  }
  return undefined;
}

/** `client-address client-port server-address server-port` */
function sessionFrom(text: string): SshSession | undefined {
  const [client = '', , , port = ''] = text.trim().split(' ');
  if (client === '' || !/^\d+$/.test(port)) return undefined;
  const address = client.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  return { address, port: Number(port) };
}

/** Other firewalls stay in force beside ours: what one of them drops is dropped. */
export async function otherFirewalls(host: Host): Promise<string[]> {
  const [ufw, firewalld] = await Promise.all([
    readText(host, '/etc/ufw/ufw.conf'),
    host.stat('/etc/systemd/system/multi-user.target.wants/firewalld.service'),
  ]);
  return [
    ...(/^ENABLED=yes$/m.test(ufw ?? '') ? ['ufw'] : []),
    ...(firewalld === undefined ? [] : ['firewalld']),
  ];
}

/** The machine itself, and what the engine makes for its containers. A bridge of the machine's own may be its way out. */
const INWARD_INTERFACES = /^(?:lo|docker0|docker_gwbridge|br-[0-9a-f]{12}|veth.*)$/;

/** An address of the link will do: those of the world come and go with what a router says. */
export async function hasIpv6(host: Host): Promise<boolean> {
  // Not there in a kernel without IPv6; empty where it is switched off.
  const addresses = (await readText(host, '/proc/net/if_inet6')) ?? '';
  return addresses.split('\n').some((line) => {
    const name = line.trim().split(/\s+/)[5];
    return name !== undefined && !INWARD_INTERFACES.test(name);
  });
}

/** Nothing where the program is missing or refuses. */
async function output(host: Host, argv: readonly [string, ...string[]]): Promise<string> {
  try {
    return (await host.run({ argv })).stdout;
  } catch (error) {
    if (error instanceof CommandError && ['spawn', 'exit'].includes(error.reason)) return '';
    throw error;
  }
}
