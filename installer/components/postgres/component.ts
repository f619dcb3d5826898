import type { Contribution, FileSpec } from '../../model/contribution.ts';
import type { SecretNeed } from '../../model/secret-need.ts';
import type { Component, ComponentInput } from '../component.ts';
import { dataNetwork, exporterNetwork, WAL_NETWORK } from '../networks.ts';
import { imageNeed, requiredImage } from '../platform-image.ts';
import type { Postgres } from '../rules/resolved.ts';
import type { Config } from '../sections.ts';
import {
  MONITOR_SECRET,
  POSTGRES_SERVICE,
  POSTGRES_UID,
  POSTGRES_VOLUME,
  roleSecret,
  SUPERUSER_SECRET,
  WAL_ROLE,
  WAL_SECRET,
} from './names.ts';
import { type Database, rolesProvision } from './roles.ts';
import { type SettingLine, serverSettings } from './server-settings.ts';
import { hasPitr, walReceiver, walSecrets } from './wal-receiver.ts';

const FOLDER = 'postgres';

/**
 * Checksums find a flipped bit before a backup spreads it. C.UTF-8 sorts by code point and is the same in
 * every release of the C library, so that no upgrade of the image breaks an index; a column that is sorted
 * for people takes a COLLATE of its own (docs/decisions/postgres-locale.md).
 */
export const INITDB_ARGS =
  '--data-checksums --encoding=UTF8 --locale=C.UTF-8 --auth-local=peer --auth-host=scram-sha-256';

export const postgres: Component = {
  id: 'postgres',
  enabled: (config) => config.postgres !== undefined,

  needs(config) {
    const need = imageNeed(config, 'postgres');
    const version = config.postgres?.version ?? need.version;
    return {
      images: [{ ...need, ...(version !== undefined && { version }) }],
      secrets: [
        ...[SUPERUSER_SECRET, MONITOR_SECRET, ...ownerSecrets(config)].map(password),
        ...walSecrets(config),
      ],
    };
  },

  collect(input, { databases: clients }): Contribution {
    const wish = input.config.postgres;
    if (wish === undefined) return {};
    const databases = wantedDatabases(wish, clients);
    const owners = new Set(databases.map(({ owner }) => owner));
    const secretOf = new Map(clients.map(({ role, passwordSecret }) => [role, passwordSecret]));
    const settings = serverSettings(wish, input.facts);
    const receiver = walReceiver(input);
    return {
      directories: receiver.directories ?? [],
      fragments: [
        ...(receiver.fragments ?? []),
        {
          component: 'postgres',
          template: 'postgres.yaml.ejs',
          data: fragmentData(input, wish, settings.tuning, clients),
        },
      ],
      files: [
        ...configFiles(settings, input.config),
        superuserPassword(input),
        ...(receiver.files ?? []),
      ],
      reloads: {
        [POSTGRES_SERVICE]: {
          test: ['postgres', '-C', 'work_mem', '-c', 'config_file=/etc/postgresql/postgresql.conf'],
          argv: ['pg_ctl', 'reload', '-s'],
        },
      },
      provisions: [
        rolesProvision({
          project: input.config.project,
          roles: [...owners].map((name) => ({
            name,
            password: input.secret(secretOf.get(name) ?? roleSecret(name)),
          })),
          databases,
          monitorPassword: input.secret(MONITOR_SECRET),
          superuserPassword: input.secret(SUPERUSER_SECRET),
          volume: input.postgresVolume,
          ...(hasPitr(input.config) && { walPassword: input.secret(WAL_SECRET) }),
        }),
      ],
      backups: [{ kind: 'postgres', databases: databases.map(({ name }) => name) }],
    };
  },
};

function ownerSecrets(config: Config): string[] {
  const { databases = [], owner = '' } = config.postgres ?? {};
  return databases.length === 0 ? [] : [roleSecret(owner)];
}

function password(name: string): SecretNeed {
  return { name, generate: { kind: 'password', bytes: 32 }, optional: false, usedBy: 'postgres' };
}

/** Each database once, by name: those of the services and those that the config lists. */
function wantedDatabases(
  wish: Postgres,
  clients: readonly { readonly database: string; readonly role: string }[],
): Database[] {
  const owners = new Map(clients.map(({ database, role }) => [database, role]));
  for (const database of wish.databases) owners.set(database, wish.owner);
  return [...owners]
    .map(([name, owner]) => ({ name, owner }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function fragmentData(
  input: ComponentInput,
  wish: Postgres,
  tuning: { readonly memoryLimit: number; readonly sharedMemory: number },
  clients: readonly { readonly service: string }[],
): Readonly<Record<string, unknown>> {
  const file = secretPath(input);
  const target = `/run/secrets/${SUPERUSER_SECRET}`;
  const networks = [
    exporterNetwork('postgres'),
    ...(hasPitr(input.config) ? [WAL_NETWORK] : []),
    ...new Set(clients.map(({ service }) => dataNetwork(service))),
  ].sort();
  return {
    image: requiredImage(input, 'postgres').reference,
    user: `${POSTGRES_UID}:${POSTGRES_UID}`,
    volume: input.postgresVolume ?? POSTGRES_VOLUME,
    configFolder: `${input.paths.stack}/${FOLDER}`,
    socketFolder: `/var/run/postgresql:uid=${POSTGRES_UID},gid=${POSTGRES_UID},mode=2775,size=1m`,
    passwordFile: target,
    initdbArgs: INITDB_ARGS,
    secrets: [{ file, target }],
    networks: Object.fromEntries(networks.map((name) => [name, null])),
    networkKinds: Object.fromEntries(networks.map((name) => [name, { internal: true }])),
    memoryLimit: tuning.memoryLimit,
    sharedMemory: tuning.sharedMemory,
    // A process for each connection, each parallel worker and each part of the server itself.
    pidsLimit: 156 + wish.maxConnections,
  };
}

function configFiles(
  settings: {
    readonly restart: readonly SettingLine[];
    readonly reload: readonly SettingLine[];
  },
  config: Config,
): FileSpec[] {
  const file = (
    name: string,
    data: Readonly<Record<string, unknown>>,
    kind: 'restart' | 'reload',
  ): FileSpec => ({
    path: `${FOLDER}/${name}`,
    component: 'postgres',
    content: { template: `templates/postgres/${name}.ejs`, data, format: 'plain' },
    onChange: [{ kind, service: POSTGRES_SERVICE }],
  });
  return [
    file('postgresql.conf', { settings: settings.restart }, 'restart'),
    file('reload.conf', { settings: settings.reload }, 'reload'),
    file('pg_hba.conf', { walRole: hasPitr(config) ? WAL_ROLE : null }, 'reload'),
  ];
}

/** Read once, when the cluster is made. */
function superuserPassword(input: ComponentInput): FileSpec {
  return {
    path: secretPath(input),
    component: 'postgres',
    content: { text: input.secret(SUPERUSER_SECRET).reveal() },
    mode: 0o400,
    uid: POSTGRES_UID,
    gid: POSTGRES_UID,
    secret: true,
  };
}

function secretPath(input: ComponentInput): string {
  return `${input.paths.secretMounts}/${POSTGRES_SERVICE}/${SUPERUSER_SECRET}`;
}
