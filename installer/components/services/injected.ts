import { Secret } from '../../model/secret.ts';
import type { ComponentInput } from '../component.ts';
import { databaseOf } from '../postgres/databases.ts';
import { POSTGRES_PORT, POSTGRES_SERVICE } from '../postgres/names.ts';
import { REDIS_PORT, REDIS_SERVICE, redisUser, redisUserSecret } from '../redis/names.ts';
import type { Service } from '../rules/resolved.ts';
import { asInForce } from '../secrets-in-force.ts';

/** Variables that a service gets. What holds a password is apart: it goes into another file. */
export interface Environment {
  readonly plain: Readonly<Record<string, string>>;
  readonly secret: Readonly<Record<string, Secret>>;
}

export const DATABASE_URL = 'DATABASE_URL';
export const REDIS_URL = 'REDIS_URL';

/**
 * The environment of a service: what its `uses` and `peers` bring, under what the config says itself.
 * A connection URL that somebody has stored as a secret replaces the one that is made here, parts and all.
 */
export function environmentOf(input: ComponentInput, service: Service): Environment {
  const parts = [
    peersPart(input, service),
    ...service.uses.map((use) => usePart(input, service, use)),
  ];
  const wished = service.secrets.flatMap(({ name }) => {
    const value = input.optionalSecret(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const secret = {
    ...Object.assign({}, ...parts.map((part) => part.secret)),
    ...Object.fromEntries(wished),
  } as Record<string, Secret>;
  const plain = {
    ...Object.assign({}, ...parts.map((part) => part.plain)),
    ...service.env,
  } as Record<string, string>;
  return {
    plain: without(plain, (name) => name in secret && !(name in service.env)),
    secret: without(asInForce(input, service.name, secret), (name) => name in service.env),
  };
}

/** Names of secrets that `uses` makes up when nobody has stored them. */
export function madeByUses(service: Pick<Service, 'uses'>): readonly string[] {
  return service.uses.flatMap(({ kind }) => {
    if (kind === 'postgres') return [DATABASE_URL];
    return kind === 'redis' ? [REDIS_URL] : [];
  });
}

/** `ADMIN_GATEWAY` for `admin-gateway`. */
export function variablePrefix(name: string): string {
  return name.toUpperCase().replaceAll('-', '_');
}

function peersPart({ config }: ComponentInput, service: Service): Environment {
  const urls = service.peers.flatMap((peer) => {
    const port = config.services[peer]?.port;
    return port === undefined ? [] : [[`${variablePrefix(peer)}_URL`, `http://${peer}:${port}`]];
  });
  return { plain: Object.fromEntries(urls), secret: {} };
}

function usePart(
  input: ComponentInput,
  service: Service,
  use: Service['uses'][number],
): Environment {
  switch (use.kind) {
    case 'postgres':
      return databasePart(input, service);
    case 'redis':
      return redisPart(input, service);
    case 'accessory': {
      const port = input.config.accessories[use.name]?.port;
      const prefix = variablePrefix(use.name);
      return {
        plain: {
          [`${prefix}_HOST`]: use.name,
          ...(port !== undefined && { [`${prefix}_PORT`]: String(port) }),
        },
        secret: {},
      };
    }
    case 'bucket':
      return { plain: {}, secret: {} };
  }
}

function databasePart(input: ComponentInput, service: Service): Environment {
  const own = input.optionalSecret(DATABASE_URL);
  if (own !== undefined) return { plain: {}, secret: { [DATABASE_URL]: own } };
  const { postgres } = input.config;
  if (postgres === undefined) return { plain: {}, secret: {} };
  const { database, role, passwordSecret } = databaseOf(postgres, service);
  const password = input.secret(passwordSecret);
  const url = connectionUrl(
    'postgresql',
    role,
    password,
    POSTGRES_SERVICE,
    POSTGRES_PORT,
    database,
  );
  return {
    plain: {
      DATABASE_HOST: POSTGRES_SERVICE,
      DATABASE_PORT: String(POSTGRES_PORT),
      DATABASE_NAME: database,
      DATABASE_USER: role,
    },
    secret: { [DATABASE_URL]: url, DATABASE_PASSWORD: password },
  };
}

function redisPart(input: ComponentInput, service: Service): Environment {
  const own = input.optionalSecret(REDIS_URL);
  if (own !== undefined) return { plain: {}, secret: { [REDIS_URL]: own } };
  const user = redisUser(service.name);
  const password = input.secret(redisUserSecret(service.name));
  const url = connectionUrl('redis', user, password, REDIS_SERVICE, REDIS_PORT, '0');
  return {
    plain: { REDIS_HOST: REDIS_SERVICE, REDIS_PORT: String(REDIS_PORT), REDIS_USER: user },
    secret: { [REDIS_URL]: url, REDIS_PASSWORD: password },
  };
}

function connectionUrl(
  scheme: string,
  user: string,
  password: Secret,
  host: string,
  port: number,
  path: string,
): Secret {
  const login = `${encodeURIComponent(user)}:${encodeURIComponent(password.reveal())}`;
  return new Secret(`${scheme}://${login}@${host}:${port}/${path}`);
}

function without<T>(record: Readonly<Record<string, T>>, isOut: (name: string) => boolean) {
  return Object.fromEntries(Object.entries(record).filter(([name]) => !isOut(name)));
}
