import { posix } from 'node:path';
import { readText } from '../apply/read-text.ts';
import { JAIL_FILE } from '../components/firewall/jails.ts';
import { UNATTENDED_FILE } from '../components/updates/unattended.ts';
import { CommandError } from '../host/command-error.ts';
import type { Command, Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';

/** What the config asks to guard this machine, and does not. */
export interface GuardProblem {
  readonly check: 'updates' | 'bans';
  readonly what: string;
  readonly hint: string;
}

/** An apply only warns of it, once. */
export async function guardProblems(host: Host, paths: Paths): Promise<GuardProblem[]> {
  const script = (name: string): string => `sh ${posix.join(paths.program, 'scripts', name)}`;
  const [packages, jails] = await Promise.all([missingPackages(host), missingJails(host)]);
  return [
    ...packages.map((name) => ({
      check: 'updates' as const,
      what: `security fixes do not install themselves: ${name} is not installed`,
      hint: `${script('unattended-upgrades.sh')} installs it, or shows what apt says`,
    })),
    ...jails.map((name) => ({
      check: 'bans' as const,
      what: `fail2ban bans nobody for ${name}`,
      hint: `${script('fail2ban.sh')} sets it up, or shows why not`,
    })),
  ];
}

async function missingPackages(host: Host): Promise<string[]> {
  const file = (await readText(host, UNATTENDED_FILE)) ?? '';
  if (!/^APT::Periodic::Unattended-Upgrade "1";$/m.test(file)) return [];
  const hasTimers = (await host.stat('/run/systemd/system')) !== undefined;
  const wanted = ['unattended-upgrades', ...(hasTimers ? [] : ['cron'])];
  const said = await output(host, {
    argv: ['dpkg-query', '--show', '--showformat', '${Package} ${Status}\n', ...wanted],
    okExitCodes: [0, 1],
  });
  return wanted.filter((name) => !said.split('\n').includes(`${name} install ok installed`));
}

async function missingJails(host: Host): Promise<string[]> {
  const file = (await readText(host, JAIL_FILE)) ?? '';
  const wanted = [...file.matchAll(/^\[(.+)\]\nenabled = true$/gm)].map(([, name = '']) => name);
  if (wanted.length === 0) return [];
  const said = await output(host, {
    argv: ['fail2ban-client', 'status'],
    okExitCodes: [0, 1, 255],
  });
  const known = (/Jail list:\s*(.*)$/m.exec(said)?.[1] ?? '').split(/,\s*/);
  return wanted.filter((name) => !known.includes(name));
}

/** Nothing where there is no such program. */
async function output(host: Host, command: Command): Promise<string> {
  try {
    return (await host.run(command)).stdout;
  } catch (error) {
    if (error instanceof CommandError && error.reason === 'spawn') return '';
    throw error;
  }
}
