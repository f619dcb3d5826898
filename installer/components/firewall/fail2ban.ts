import { posix } from 'node:path';
import type { FileSpec, Notice } from '../../model/contribution.ts';
import type { ComponentInput } from '../component.ts';
import { edgeFolders } from '../nginx/places.ts';
import type { Config } from '../sections.ts';
import { aptScript } from '../updates/apt-script.ts';
import { bansPasswordGuessers, JAIL_FILE } from './jails.ts';

/** What Debian's fail2ban reads of us, and the table that holds the banned. */
export function banFiles(input: ComponentInput): FileSpec[] {
  const { config, facts, paths } = input;
  const { enabled, fail2ban, ssh } = config.firewall;
  const jails = enabled ? fail2ban : {};
  const isUsed = Object.keys(jails).length > 0;
  const log = posix.join(edgeFolders(paths).logs, 'refused.log');
  const file = (path: string, template: string, data: Record<string, unknown>): FileSpec => ({
    path,
    component: 'firewall',
    content: { template: `templates/fail2ban/${template}.ejs`, data, format: 'plain' },
    onChange: [aptScript(paths, 'fail2ban', NOT_BANNING)],
  });
  const bans = 'firewall/bans.nft';
  const files = [file(bans, 'bans.nft', { isUsed })];
  if (!isUsed) return files;
  return [
    ...files,
    file('/etc/fail2ban/action.d/holdfast.conf', 'action.conf', {
      table: posix.join(paths.stack, bans),
    }),
    file('/etc/fail2ban/filter.d/holdfast-http-auth.conf', 'http-auth.conf', {}),
    file(JAIL_FILE, 'jail.local', {
      sshd: jails['sshd'],
      sshPorts: [...new Set([ssh.port, ...facts.ssh.ports])].sort((a, b) => a - b),
      systemd: facts.systemd,
      httpAuth: jails['nginxHttpAuth'],
      log,
    }),
    ...(bansPasswordGuessers(config)
      ? [file('/etc/logrotate.d/holdfast-fail2ban', 'logrotate', { log })]
      : []),
  ];
}

const NOT_BANNING: Notice = {
  code: 'firewall/not-banning',
  text: 'fail2ban does not ban as the config says, and `holdfast doctor` tells it until it does',
};

/** A ban goes by the address that packets come from. */
export function banNotices(config: Config): Notice[] {
  if (!bansPasswordGuessers(config) || config.http.realIp === 'none') return [];
  return [
    {
      code: 'firewall/ban-behind-proxy',
      text: 'firewall.fail2ban.nginxHttpAuth: whoever comes through a proxy of http.realIp is banned by an address that no packet bears; deny them at the proxy',
    },
  ];
}
