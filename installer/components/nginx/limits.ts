import type { FileSpec, Reaction, RedisClient } from '../../model/contribution.ts';
import type { SecretNeed } from '../../model/secret-need.ts';
import type { ComponentInput } from '../component.ts';
import { countingLimits } from '../http/limits.ts';
import type { RateLimit } from '../http/section.ts';
import { LIMITS_NETWORK } from '../networks.ts';
import { LIMITS_SECRET, LIMITS_USER } from '../redis/names.ts';
import type { Config } from '../sections.ts';
import { luaFiles, luaSecretsFile } from './lua-files.ts';

/** Apart from what services keep in 0, so that a FLUSHDB or a KEYS of theirs meets no counter. */
const DATABASE = 15;

/** What the counting script calls, and how a connection begins. */
const COMMANDS = [
  'evalsha',
  'eval',
  'select',
  'time',
  'llen',
  'lindex',
  'ltrim',
  'rpush',
  'del',
  'pexpire',
];

const SCRIPTS = [
  'limits/limits.lua',
  'limits/counter.lua',
  'limits/token.lua',
  'limits/sliding-log.redis.lua',
];

export function hasLimits(config: Config): boolean {
  return countingLimits(config.http).length > 0;
}

/** How the edge logs in to Redis: it sees its counters and nothing else. */
export function limitsClient(): RedisClient {
  return {
    service: 'nginx',
    user: LIMITS_USER,
    passwordSecret: LIMITS_SECRET,
    network: LIMITS_NETWORK,
    rights: `resetchannels ~holdfast:limit:* -@all ${COMMANDS.map((name) => `+${name}`).join(' ')}`,
  };
}

export function limitsSecrets(config: Config): SecretNeed[] {
  if (!hasLimits(config)) return [];
  const verifying = countingLimits(config.http).flatMap(({ name, verifyWith }) =>
    verifyWith === undefined
      ? []
      : [{ name: verifyWith, optional: false, usedBy: `http.rateLimits ${name}` }],
  );
  const generate = { kind: 'password', bytes: 32 } as const;
  return [{ name: LIMITS_SECRET, generate, optional: false, usedBy: 'nginx' }, ...verifying];
}

/** What `nginx/lua/limits/limits.lua` reads, and it. */
export function limitsFiles(input: ComponentInput, onChange: readonly Reaction[]): FileSpec[] {
  const { config } = input;
  if (!hasLimits(config)) return [];
  const limits = countingLimits(config.http);
  const owner = { component: 'nginx', onChange };
  return [
    {
      path: 'nginx/limits.json',
      component: 'nginx',
      content: { text: json(Object.fromEntries(limits.map((limit) => [limit.name, spec(limit)]))) },
      onChange,
    },
    luaSecretsFile(input, 'limits.secrets.json', json(secretsOf(input, limits)), owner),
    ...luaFiles(SCRIPTS, owner),
  ];
}

function spec({ name, key, limit, window, standardHeaders, onFailure }: RateLimit) {
  const [by = '', of = ''] = key.split(':');
  return {
    name,
    by,
    ...(by === 'jwt' && { of }),
    ...((by === 'header' || by === 'cookie') && { variable: variableOf(by, of) }),
    limit,
    window,
    headers: standardHeaders,
    closed: onFailure === 'closed',
  };
}

/** nginx's variable for a header or a cookie. */
function variableOf(kind: 'header' | 'cookie', name: string): string {
  return kind === 'cookie' ? `cookie_${name}` : `http_${name.toLowerCase().replaceAll('-', '_')}`;
}

function secretsOf(input: ComponentInput, limits: readonly RateLimit[]) {
  const verifyWith = limits.flatMap(({ name, verifyWith: secret }) =>
    secret === undefined ? [] : [[name, input.secret(secret).reveal()] as const],
  );
  return {
    redis: {
      user: LIMITS_USER,
      password: input.secret(LIMITS_SECRET).reveal(),
      database: DATABASE,
    },
    verifyWith: Object.fromEntries(verifyWith),
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
