import type { Contribution, Route } from '../../model/contribution.ts';
import type { Secret } from '../../model/secret.ts';
import type { Component } from '../component.ts';
import { appNetwork, dataNetwork, hasDataNetwork, peerNetworks } from '../networks.ts';
import { redisUser, redisUserSecret } from '../redis/names.ts';
import type { Service } from '../rules/resolved.ts';
import { httpCheck, portCheck } from './checks.ts';
import { databaseClient, secretNeeds, usesRedis } from './clients.ts';
import { containerOf } from './container.ts';
import { imageOf } from './image.ts';
import { environmentOf } from './injected.ts';
import { secretFile } from './secret-file.ts';
import { volumeNames, volumesOf } from './volumes.ts';

/** A release that dies later than this after it took over has other causes than being new. */
const LONGEST_WATCH_SECONDS = 30;

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
        image: imageOf(input, 'services', service.name),
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
          return value === undefined
            ? []
            : [secretFile(input, 'services', service.name, name, value)];
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
      rolled: all.map((service) => ({
        service: service.name,
        ...(service.port !== undefined && service.routes.length > 0 && { port: service.port }),
        peerNetworks: [...peers]
          .filter(([, members]) => members.includes(service.name))
          .map(([name]) => name),
        watchSeconds: Math.min(input.config.updates.rollback.within, LONGEST_WATCH_SECONDS),
      })),
      scrapes: all.flatMap(({ name, metrics, replicas }) =>
        metrics === undefined
          ? []
          : [{ job: name, service: name, ...metrics, replicated: replicas.max > 1 }],
      ),
      ...volumesOf(input.config),
    };
  },
};

/** Of the secrets that the config names, those that have a value. */
function wishedNames(service: Service, values: Readonly<Record<string, Secret>>): string[] {
  return service.secrets.map(({ name }) => name).filter((name) => name in values);
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

function routesOf({ name, port, routes }: Service): Route[] {
  if (port === undefined) return [];
  return routes.map(
    ({ host, path, strip, websocket, rawBody, maxBody, sticky, allowFrom, basicAuth }) => ({
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
      ...(basicAuth !== undefined && { asksPassword: true }),
    }),
  );
}
