import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { HostFacts } from '../model/facts.ts';
import { hasIpv6, otherFirewalls, sshFacts } from './network-facts.ts';
import { readText } from './read-text.ts';

const NFT_PROGRAM = '/usr/sbin/nft';

const ARCHITECTURES: Readonly<Record<string, HostFacts['architecture']>> = {
  x86_64: 'x64',
  aarch64: 'arm64',
};

/**
 * Looks at the machine. Memory is the smaller of `/proc/meminfo` and the cgroup limit: a container VPS
 * shows the memory of the machine around it in the first.
 * @throws AppError `preflight/architecture`, `host/facts-unreadable`
 */
export async function hostFacts(host: Host): Promise<HostFacts> {
  const [meminfo, limit, release, machine, cores, systemd, nft, ssh, firewalls, ipv6] =
    await Promise.all([
      readText(host, '/proc/meminfo'),
      readText(host, '/sys/fs/cgroup/memory.max'),
      readText(host, '/etc/os-release'),
      host.run({ argv: ['uname', '-m'] }),
      host.run({ argv: ['nproc'] }),
      host.stat('/run/systemd/system'),
      host.stat(NFT_PROGRAM),
      sshFacts(host),
      otherFirewalls(host),
      hasIpv6(host),
    ]);
  const architecture = ARCHITECTURES[machine.stdout.trim()];
  if (architecture === undefined) {
    throw new AppError({
      code: 'preflight/architecture',
      what: `${host.name} has the processor architecture ${machine.stdout.trim()}`,
      why: `holdfast runs on ${Object.keys(ARCHITECTURES).join(' and ')}`,
      hint: 'use a server with one of these',
    });
  }
  return {
    memoryBytes: memoryBytes(host, meminfo ?? '', limit),
    cores: Math.max(1, Number.parseInt(cores.stdout, 10) || 1),
    architecture,
    distribution: distribution(release ?? ''),
    systemd: systemd?.type === 'directory',
    nft: nft !== undefined,
    ssh,
    otherFirewalls: firewalls,
    ipv6,
  };
}

function memoryBytes(host: Host, meminfo: string, limit: string | undefined): number {
  const total = Number(/^MemTotal:\s+(\d+) kB$/m.exec(meminfo)?.[1]) * 1024;
  if (!Number.isFinite(total) || total <= 0) {
    throw new AppError({
      code: 'host/facts-unreadable',
      what: `${host.name} does not tell how much memory it has`,
      why: '/proc/meminfo has no line MemTotal',
      hint: 'check that /proc is mounted',
    });
  }
  const limited = Number(limit?.trim());
  return Number.isFinite(limited) && limited > 0 ? Math.min(total, limited) : total;
}

function distribution(release: string): HostFacts['distribution'] {
  const value = (key: string): string =>
    new RegExp(`^${key}="?([^"\n]*)"?$`, 'm').exec(release)?.[1] ?? '';
  return { id: value('ID'), version: value('VERSION_ID') };
}
