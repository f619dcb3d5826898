import { AppError } from '../../errors.ts';
import type {
  Contribution,
  FileSpec,
  HttpCheck,
  PortCheck,
  Route,
} from '../../model/contribution.ts';
import type { Secret } from '../../model/secret.ts';
import type { Component, ComponentInput } from '../component.ts';
import { appNetwork, dataNetwork, hasDataNetwork, peerNetworks } from '../networks.ts';
import { redisUser, redisUserSecret } from '../redis/names.ts';
import type { Service } from '../rules/resolved.ts';
import { databaseClient, secretNeeds, usesRedis } from './clients.ts';
import { containerOf, secretPath } from './container.ts';
import { environmentOf } from './injected.ts';
import { volumeNames, volumesOf } from './volumes.ts';

export const services: Component = {
  id: 'services',
  enabled: (config) => Object.keys(config.services).length > 0,

  needs: (config) => ({
    secrets: Object.values(config.services).flatMap((service) => secretNeeds(config, service)),
  }),

  contribute(input): Contribution {
    const all = Object.values(input.config.services);
    const peers = peerNetworks(all);
    const prepared = all.map((service) => ({
      service,
      environment: environmentOf(input, service),
    }));
    const containers = prepared.map(({ service, environment }) => ({
      name: service.name,
      container: containerOf(input, service, {
        image: imageOf(input, service),
        environment: environment.plain,
        secretFiles: wishedNames(service, environment.secret),
        peerNetworks: [...peers]
          .filter(([, members]) => members.includes(service.name))
          .map(([name]) => name),
      }),
    }));
    return {
      fragments: [
        {
          component: 'services',
          template: 'services.yaml.ejs',
          data: {
            services: containers,
            networks: networkKinds(all, [...peers.keys()]),
            volumes: volumeNames(all),
          },
        },
      ],
      files: prepared.flatMap(({ service, environment }) =>
        wishedNames(service, environment.secret).flatMap((name) => {
          const value = environment.secret[name];
          return value === undefined ? [] : [secretFile(input, service, name, value)];
        }),
      ),
      secretEnvironment: Object.fromEntries(
        prepared
          .filter(({ environment }) => Object.keys(environment.secret).length > 0)
          .map(({ service, environment }) => [service.name, environment.secret]),
      ),
      httpChecks: all.flatMap(httpCheck),
      portChecks: all.flatMap(portCheck),
      migrations: all.flatMap(({ name, migrate }) => {
        const [program, ...rest] = migrate ?? [];
        return program === undefined ? [] : [{ service: name, argv: [program, ...rest] as const }];
      }),
      seeds: all.flatMap((service) => {
        const client = databaseClient(input.config, service);
        if (service.seed === undefined || client === undefined) return [];
        const { database, role } = client;
        return [{ service: service.name, file: service.seed.file, database, role }];
      }),
      databases: all.flatMap((service) => databaseClient(input.config, service) ?? []),
      redisClients: all.filter(usesRedis).map(({ name }) => ({
        service: name,
        user: redisUser(name),
        passwordSecret: redisUserSecret(name),
      })),
      routes: all.flatMap(routesOf),
      scrapes: all.flatMap(({ name, metrics, replicas }) =>
        metrics === undefined
          ? []
          : [{ job: name, service: name, ...metrics, replicated: replicas.max > 1 }],
      ),
      ...volumesOf(input.config, all),
    };
  },
};

function imageOf(input: ComponentInput, service: Service): string {
  const image = input.images.services[service.name];
  if (image !== undefined) return image.reference;
  throw new AppError({
    code: 'image/unavailable',
    what: `The image of services.${service.name} was not resolved`,
    hint: 'Run `holdfast plan` again.',
  });
}

/** Of the secrets that the config names, those that have a value. */
function wishedNames(service: Service, values: Readonly<Record<string, Secret>>): string[] {
  return service.secrets.map(({ name }) => name).filter((name) => name in values);
}

/**
 * Readable by every user inside the container, since an image may step down to any; on the host, the folder
 * above (0700, root) keeps everyone else out. See docs/decisions/secret-files.md.
 */
function secretFile(
  input: ComponentInput,
  { name: service }: Service,
  name: string,
  value: Secret,
): FileSpec {
  return {
    path: secretPath(input, service, name),
    component: 'services',
    content: { text: value.reveal() },
    mode: 0o444,
    secret: true,
    onChange: [{ kind: 'restart', service }],
  };
}

function networkKinds(
  all: readonly Service[],
  peerNames: readonly string[],
): Readonly<Record<string, { readonly internal: boolean }>> {
  return Object.fromEntries([
    ...all.map(({ name }) => [appNetwork(name), { internal: false }] as const),
    ...all
      .filter(hasDataNetwork)
      .map(({ name }) => [dataNetwork(name), { internal: true }] as const),
    ...peerNames.map((name) => [name, { internal: true }] as const),
  ]);
}

function httpCheck(service: Service): HttpCheck[] {
  const { path, expect } = service.health;
  if (path === undefined) return [];
  return checkedFromOutside(service).map((check) => ({
    ...check,
    path,
    ...(expect !== undefined && { expect }),
  }));
}

/** With no path to ask for, a port that takes a connection is all that can be known. */
function portCheck(service: Service): PortCheck[] {
  return service.health.path === undefined ? checkedFromOutside(service) : [];
}

function checkedFromOutside({ name, port, health }: Service): PortCheck[] {
  if (health.command !== undefined || port === undefined) return [];
  return [
    {
      service: name,
      port,
      intervalSeconds: health.interval,
      timeoutSeconds: health.timeout,
      healthy: health.healthy,
      unhealthy: health.unhealthy,
    },
  ];
}

function routesOf({ name, port, routes }: Service): Route[] {
  if (port === undefined) return [];
  return routes.map(({ host, path, strip, websocket, rawBody, maxBody, sticky, allowFrom }) => ({
    host,
    path,
    service: name,
    port,
    strip,
    websocket,
    rawBody,
    ...(maxBody !== undefined && { maxBody }),
    ...(sticky !== undefined && { sticky }),
    allowFrom,
  }));
}
