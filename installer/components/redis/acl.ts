import { createHash } from 'node:crypto';
import type { Secret } from '../../model/secret.ts';
import { ADMIN_USER, HEALTH_USER, MONITOR_USER } from './names.ts';
import type { Redis } from './section.ts';

export interface AclUser {
  readonly name: string;
  readonly password: Secret;
  /** What services may do when absent. */
  readonly rights?: string;
}

/**
 * What a service may do: everything with keys, scripts and channels, nothing with the server.
 * Of the commands that Redis calls dangerous these are left, since clients and queues rely on them:
 * INFO and CLIENT LIST (BullMQ, Sidekiq), ROLE (client libraries), SORT, KEYS and RESTORE (they cost time, not data).
 */
const SERVICE_COMMANDS = [
  '+@all',
  '-@admin',
  '-@dangerous',
  '+info',
  '+role',
  '+client|list',
  '+sort',
  '+sort_ro',
  '+keys',
  '+restore',
];

/** Only figures; redis_exporter asks for these. */
const MONITOR_COMMANDS = [
  '-@all',
  '+ping',
  '+info',
  '+config|get',
  '+slowlog|len',
  '+slowlog|get',
  '+latency|latest',
  '+latency|histogram',
  '+client|setname',
  '+client|setinfo',
  '+client|list',
  '+dbsize',
  '+select',
];

/** The lines of users.acl. Passwords stand in it as SHA-256, as Redis itself would write them. */
export function aclLines(
  purpose: Redis['purpose'],
  admin: Secret,
  monitor: Secret,
  services: readonly AclUser[],
): string[] {
  // A cache may be emptied by those who fill it; a queue holds what others still need.
  const commands = purpose === 'cache' ? [...SERVICE_COMMANDS, '+flushdb'] : SERVICE_COMMANDS;
  return [
    // Nobody can log in as it. Redis itself reads its append-only file in its name: without these rights it
    // would pass over every transaction and every script's writes when it starts.
    'user default off resetpass ~* &* +@all',
    userLine(ADMIN_USER, hash(admin), '~* &* +@all'),
    userLine(HEALTH_USER, 'nopass', 'resetkeys resetchannels -@all +ping'),
    userLine(MONITOR_USER, hash(monitor), `resetkeys resetchannels ${MONITOR_COMMANDS.join(' ')}`),
    ...services.map(({ name, password, rights = `~* &* ${commands.join(' ')}` }) =>
      userLine(name, hash(password), rights),
    ),
  ];
}

function userLine(name: string, password: string, rights: string): string {
  return `user ${name} on ${password} ${rights}`;
}

function hash(password: Secret): string {
  return `#${createHash('sha256').update(password.reveal()).digest('hex')}`;
}
