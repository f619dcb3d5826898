import type { DatabaseClient } from '../../model/contribution.ts';
import type { SecretNeed } from '../../model/secret-need.ts';
import { databaseOf } from '../postgres/databases.ts';
import { redisUserSecret } from '../redis/names.ts';
import type { Service } from '../rules/resolved.ts';
import type { Config } from '../sections.ts';
import { madeByUses } from './injected.ts';

/** The secrets that a service names, and the passwords that its `uses` bring. */
export function secretNeeds(config: Config, service: Service): SecretNeed[] {
  const usedBy = `services.${service.name}`;
  const made = madeByUses(service);
  const generate = { kind: 'password', bytes: 32 } as const;
  const wishes = service.secrets.map(({ name, optional }) => ({
    name,
    optional: optional || made.includes(name),
    usedBy,
  }));
  const client = databaseClient(config, service);
  return [
    ...wishes,
    ...made
      .filter((name) => !wishes.some((wish) => wish.name === name))
      .map((name) => ({ name, optional: true, usedBy })),
    ...(client === undefined
      ? []
      : [{ name: client.passwordSecret, generate, optional: false, usedBy }]),
    ...(usesRedis(service)
      ? [{ name: redisUserSecret(service.name), generate, optional: false, usedBy }]
      : []),
  ];
}

/** What the service asks of Postgres; undefined when it does not use it. */
export function databaseClient(config: Config, service: Service): DatabaseClient | undefined {
  if (config.postgres === undefined || !service.uses.some(({ kind }) => kind === 'postgres')) {
    return undefined;
  }
  return {
    service: service.name,
    ...databaseOf(config.postgres, service),
    pool: service.dbPool,
    maxReplicas: service.replicas.max,
  };
}

export function usesRedis(service: Service): boolean {
  return service.uses.some(({ kind }) => kind === 'redis');
}
