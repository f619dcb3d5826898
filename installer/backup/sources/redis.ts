import { setTimeout as wait } from 'node:timers/promises';
import type { Engine } from '../../engine/engine.ts';
import { streamCut } from '../../engine/frames.ts';
import { AppError } from '../../errors.ts';
import type { Secret } from '../../model/secret.ts';
import { marked } from '../whole-stream.ts';
import type { Source } from './source.ts';

/** The user of Redis that may do everything, and the secret with its password. */
export const REDIS_ADMIN_USER = 'holdfast_admin';
export const REDIS_ADMIN_SECRET = 'REDIS_ADMIN_PASSWORD';

/** Magic, version, end mark and checksum of a dump without keys. */
const EMPTY_DUMP = 18;
const POLL_MILLISECONDS = 200;
const SAVE_TIMEOUT_SECONDS = 3600;

export interface RedisServer {
  readonly engine: Engine;
  readonly container: string;
  readonly password: Secret;
}

/** A fresh dump.rdb: Redis writes it from one moment and renames it into place, so what is read is whole. */
export async function openRedisSource(server: RedisServer): Promise<Source> {
  const info = await redisInfo(server);
  return {
    method: 'archive',
    tools: { redis: info['redis_version'] ?? 'unknown' },
    objects: [
      {
        name: 'dump.rdb',
        role: 'redis',
        format: 'rdb',
        expectedBytes: Number(info['used_memory'] ?? 0),
        floorBytes: EMPTY_DUMP,
        content: { kind: 'stream', read: () => dump(server) },
      },
    ],
    close: async () => undefined,
  };
}

async function* dump(server: RedisServer): AsyncGenerator<Uint8Array> {
  await save(server);
  const folder = await redisSetting(server, 'dir');
  const file = await redisSetting(server, 'dbfilename');
  const { argv, plain } = marked(['cat', `${folder}/${file}`]);
  const { stdout, done } = await server.engine.execStream(server.container, { argv });
  const code = yield* plain(stdout as AsyncIterable<Buffer>);
  const { exitCode, stderr } = await done;
  if (exitCode !== 0) throw redisError(server, stderr.trim());
  if (code !== 0) throw streamCut();
}

/** Sends commands as a person would type them; the password goes through standard input only. */
export async function redisCommands(
  { engine, container, password }: RedisServer,
  commands: readonly string[],
): Promise<string> {
  const script = [`AUTH ${REDIS_ADMIN_USER} ${password.reveal()}`, ...commands].join('\n');
  const { exitCode, stdout, stderr } = await engine.exec(container, {
    argv: ['redis-cli', '--raw', '--no-auth-warning'],
    stdin: `${script}\n`,
  });
  const answer = stdout.replace(/^OK\n/, '');
  if (exitCode !== 0) throw redisError({ container }, stderr.trim() || stdout.trim());
  const refusal = /^(?:ERR|WRONGPASS|NOAUTH|NOPERM|MISCONF|LOADING)\b.*$/m.exec(stdout);
  if (refusal !== null) throw redisError({ container }, refusal[0]);
  return answer;
}

async function redisInfo(server: RedisServer): Promise<Readonly<Record<string, string>>> {
  const text = await redisCommands(server, ['INFO']);
  return Object.fromEntries(
    text.split(/\r?\n/).flatMap((line) => {
      const colon = line.indexOf(':');
      return colon < 1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
    }),
  );
}

export async function redisSetting(server: RedisServer, name: string): Promise<string> {
  const lines = (await redisCommands(server, [`CONFIG GET ${name}`])).split(/\r?\n/);
  return lines[1] ?? '';
}

async function save(server: RedisServer): Promise<void> {
  const before = await redisInfo(server);
  await redisCommands(server, ['BGSAVE SCHEDULE']);
  const deadline = performance.now() + SAVE_TIMEOUT_SECONDS * 1000;
  for (;;) {
    const now = await redisInfo(server);
    const idle = now['rdb_bgsave_in_progress'] === '0' && now['rdb_bgsave_scheduled'] !== '1';
    if (idle && now['rdb_saves'] !== before['rdb_saves']) return;
    // Behind a rewrite of the AOF a save waits for its turn; then neither is idle.
    if (idle && now['aof_rewrite_in_progress'] !== '1' && now['rdb_last_bgsave_status'] === 'err') {
      throw redisError(server, 'BGSAVE failed: `holdfast logs redis` tells why');
    }
    if (performance.now() > deadline) throw redisError(server, 'BGSAVE did not end within an hour');
    await wait(POLL_MILLISECONDS);
  }
}

function redisError({ container }: { readonly container: string }, why: string): AppError {
  return new AppError({
    code: 'backup/redis',
    what: `Redis in ${container} could not be saved`,
    why,
    hint: 'holdfast status; holdfast logs redis',
  });
}
