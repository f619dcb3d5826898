import type { Config } from '../sections.ts';

/** Jails that a config may name: wrong SSH logins, and wrong passwords of routes with `basicAuth`. */
export const JAILS = ['sshd', 'nginxHttpAuth'] as const;

export const JAIL_FILE = '/etc/fail2ban/jail.d/holdfast.local';

/** Whether nginx has to write down who gives a wrong password. */
export function bansPasswordGuessers({ firewall }: Config): boolean {
  return firewall.enabled && firewall.fail2ban['nginxHttpAuth'] !== undefined;
}
