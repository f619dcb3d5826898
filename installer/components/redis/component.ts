import { createHash } from 'node:crypto';
import type { Contribution, FileSpec, Provision, RedisClient } from '../../model/contribution.ts';
import type { SecretNeed } from '../../model/secret-need.ts';
import type { Component, ComponentInput } from '../component.ts';
import { dataNetwork, exporterNetwork } from '../networks.ts';
import { imageNeed, requiredImage } from '../platform-image.ts';
import { aclLines } from './acl.ts';
import { memoryLimit } from './memory.ts';
import {
  ADMIN_SECRET,
  ADMIN_USER,
  HEALTH_USER,
  MONITOR_SECRET,
  REDIS_SERVICE,
  REDIS_UID,
  REDIS_VOLUME,
} from './names.ts';
import type { Redis } from './section.ts';

const FOLDER = 'redis';

/** Id of the provision that makes a running server read its users. */
export const LOAD_USERS_PROVISION = 'redis:users';

export const redis: Component = {
  id: 'redis',
  enabled: (config) => config.redis !== undefined,

  needs(config) {
    const need = imageNeed(config, 'redis');
    const version = config.redis?.version ?? need.version;
    return {
      images: [{ ...need, ...(version !== undefined && { version }) }],
      secrets: [ADMIN_SECRET, MONITOR_SECRET].map(password),
    };
  },

  collect(input, { redisClients }): Contribution {
    const wish = input.config.redis;
    if (wish === undefined) return {};
    const acl = usersFile(input, wish, redisClients);
    return {
      fragments: [
        {
          component: 'redis',
          template: 'redis.yaml.ejs',
          data: fragmentData(input, wish, redisClients),
        },
      ],
      files: [configFile(wish), startFile(), acl.file],
      provisions: [acl.load],
      ...backupOf(wish),
    };
  },
};

function password(name: string): SecretNeed {
  return { name, generate: { kind: 'password', bytes: 32 }, optional: false, usedBy: 'redis' };
}

function fragmentData(
  input: ComponentInput,
  wish: Redis,
  clients: readonly RedisClient[],
): Readonly<Record<string, unknown>> {
  const networks = [
    exporterNetwork('redis'),
    ...new Set(clients.map(({ service, network }) => network ?? dataNetwork(service))),
  ].sort();
  return {
    image: requiredImage(input, 'redis').reference,
    user: `${REDIS_UID}:${REDIS_UID}`,
    volume: keepsData(wish) ? REDIS_VOLUME : null,
    dataFolder: `/data:uid=${REDIS_UID},gid=${REDIS_UID},mode=0700,size=1m`,
    configFolder: `${input.paths.stack}/${FOLDER}`,
    networks: Object.fromEntries(networks.map((name) => [name, null])),
    networkKinds: Object.fromEntries(networks.map((name) => [name, { internal: true }])),
    healthUser: HEALTH_USER,
    memoryLimit: memoryLimit(wish.maxMemory),
    adminMark: adminMark(input),
  };
}

function configFile(wish: Redis): FileSpec {
  return {
    path: `${FOLDER}/redis.conf`,
    component: 'redis',
    content: {
      template: 'templates/redis/redis.conf.ejs',
      format: 'plain',
      data: {
        maxMemory: wish.maxMemory,
        policy: wish.purpose === 'cache' ? 'allkeys-lru' : 'noeviction',
        appendOnly: wish.persistence === 'aof' ? 'yes' : 'no',
        // Redis' own schedule: after 1 h with a change, 5 min with 100, 1 min with 10,000.
        snapshots: wish.persistence === 'rdb' ? ['3600 1', '300 100', '60 10000'] : ['""'],
      },
    },
    onChange: [{ kind: 'restart', service: REDIS_SERVICE }],
  };
}

/** Read when the container starts, so that a change of it waits for that. */
function startFile(): FileSpec {
  return {
    path: `${FOLDER}/start.sh`,
    component: 'redis',
    content: { template: 'templates/redis/start.sh', data: {}, format: 'plain' },
    onChange: [],
  };
}

/**
 * The running server lets nobody load users who does not know its own administrator's password. So another
 * password makes another container, which reads the file when it starts. Too short to guess a password by.
 */
function adminMark(input: ComponentInput): string {
  const secret = input.secret(ADMIN_SECRET).reveal();
  return createHash('sha256').update(`redis administrator ${secret}`).digest('hex').slice(0, 8);
}

/** The users, and how a running server takes them up without dropping a connection. */
function usersFile(
  input: ComponentInput,
  wish: Redis,
  clients: readonly RedisClient[],
): { readonly file: FileSpec; readonly load: Provision } {
  const admin = input.secret(ADMIN_SECRET);
  const services = clients.map(({ user, passwordSecret, rights }) => ({
    name: user,
    password: input.secret(passwordSecret),
    ...(rights !== undefined && { rights }),
  }));
  const lines = aclLines(wish.purpose, admin, input.secret(MONITOR_SECRET), services);
  return {
    file: {
      path: `${FOLDER}/users.acl`,
      component: 'redis',
      content: { template: 'templates/redis/users.acl.ejs', data: { lines }, format: 'plain' },
      mode: 0o400,
      uid: REDIS_UID,
      gid: REDIS_UID,
      secret: true,
      onChange: [{ kind: 'provision', id: LOAD_USERS_PROVISION }],
    },
    load: {
      id: LOAD_USERS_PROVISION,
      service: REDIS_SERVICE,
      argv: adminCommand(['ACL', 'LOAD']),
      stdin: `${admin.reveal()}\n`,
      digest: createHash('sha256').update(lines.join('\n')).digest('hex'),
      summary: `users ${services.map(({ name }) => name).join(', ') || 'of the platform'}`,
    },
  };
}

/** A command as the administrator, whose password comes as the only line of standard input. */
export function adminCommand(command: readonly string[]): [string, ...string[]] {
  return ['redis-cli', '-e', '--user', ADMIN_USER, '--askpass', ...command];
}

function keepsData(wish: Redis): boolean {
  return wish.persistence !== 'none';
}

function backupOf(wish: Redis): Pick<Contribution, 'backups' | 'unbackedVolumes'> {
  if (!keepsData(wish)) return {};
  if (wish.purpose === 'queue') return { backups: [{ kind: 'redis' }] };
  const reason = 'purpose: cache, so that whatever is lost is fetched again';
  return { unbackedVolumes: [{ volume: REDIS_VOLUME, reason }] };
}
