import type { Contribution, Notice } from '../../model/contribution.ts';
import { NGINX } from '../../model/nginx-reload.ts';
import { pathsUnder } from '../../model/paths.ts';
import type { FixedAddress } from '../../model/stack.ts';
import type { StandIn } from '../../model/stand-in.ts';
import type { Collected, Component, ComponentInput, Needs } from '../component.ts';
import { edgeImage } from '../http/waf.ts';
import { appNetwork, exporterNetwork, LIMITS_NETWORK } from '../networks.ts';
import { httpHealthTest, imageNeed, requiredImage } from '../platform-image.ts';
import type { Config } from '../sections.ts';
import { certificateFiles, configFiles, passwordFiles, RELOAD } from './files.ts';
import { type HostBlock, hostBlocks } from './hosts.ts';
import { hasLimits, limitsClient, limitsFiles, limitsSecrets } from './limits.ts';
import { edgeFolders, IN_CONTAINER, NGINX_UID, STATUS_PORT } from './places.ts';
import { RELAY_NETWORK, relay, relayContribution, relayedAddress } from './relay.ts';
import { siteFiles } from './site-files.ts';
import { wafFiles, wafMemory } from './waf.ts';

/** More workers gain nothing at the sizes of machine that this is for. */
const MAX_WORKERS = 8;
/** nginx itself, its shared zones, Lua's virtual machines and gzip's buffers, bytes. */
const BASE_MEMORY = 96 * 1024 ** 2;
/** Buffers of one connection at their usual size, bytes. */
const MEMORY_PER_CONNECTION = 32 * 1024;

/**
 * A network that leads out, so that ports can be published even when nothing is routed. Docker publishes them
 * on the outward network that comes first by name: a name before every `app-` keeps them where they are, and
 * open, while networks of services come and go.
 */
const EDGE_NETWORK = 'a-edge';

/** The front door: the only container that publishes ports. */
export const nginx: Component = {
  id: 'nginx',
  enabled: () => true,
  needs,
  contribute: ({ config }) => (hasLimits(config) ? { redisClients: [limitsClient()] } : {}),
  collect,
};

function needs(config: Config): Needs {
  const routes = Object.values(config.services).flatMap(({ name, routes: own }) =>
    own.map((route) => ({ ...route, service: name })),
  );
  return {
    // The official image has no Lua, by which requests find their replica and are counted.
    images: [{ ...imageNeed(config, edgeImage(config)), source: 'debian' }],
    hosts: routes.map(({ host, service }) => ({ host, usedBy: `services.${service}.routes` })),
    secrets: [
      ...routes.flatMap(({ basicAuth, service }) =>
        basicAuth === undefined
          ? []
          : [{ name: basicAuth, optional: false, usedBy: `services.${service}.routes` }],
      ),
      ...limitsSecrets(config),
    ],
  };
}

function collect(input: ComponentInput, collected: Collected): Contribution {
  const { config, paths } = input;
  const image = requiredImage(input, edgeImage(config));
  const blocks = hostBlocks(config, collected.routes, collected.siteHosts);
  const folders = edgeFolders(paths);
  const workers = Math.min(Math.max(input.facts.cores, 1), MAX_WORKERS);
  const networks = networkKinds(input, blocks);
  const relayed = relayContribution(input, workers);
  // The official image lacks the module.
  const hasBrotli = image.source !== 'registry' && collected.siteHosts.length > 0;
  const owned = { uid: NGINX_UID, gid: NGINX_UID, mode: 0o750 };
  return {
    fragments: [
      {
        component: 'nginx',
        template: 'nginx.yaml.ejs',
        data: {
          image: image.reference,
          folders,
          networks: Object.fromEntries(
            Object.keys(networks).map((name) => [name, addressOn(input, name)]),
          ),
          networkKinds: networks,
          downloads: downloadVolumes(config),
          ownVolumes: downloadVolumes(config).filter((name) => !isUsedByContainer(config, name)),
          healthTest: httpHealthTest(image, `http://127.0.0.1:${STATUS_PORT}/healthy`, 'curl'),
          memory:
            BASE_MEMORY +
            workers * config.http.workerConnections * MEMORY_PER_CONNECTION +
            wafMemory(config, workers, blocks),
        },
      },
      ...(relayed.fragments ?? []),
    ],
    directories: [
      { path: folders.certificates, mode: 0o755, uid: 0, gid: 0 },
      { path: folders.edge, mode: 0o755, uid: 0, gid: 0 },
      { path: folders.challenges, mode: 0o755, uid: 0, gid: 0 },
      { path: folders.logs, ...owned },
      { path: folders.bodies, ...owned },
    ],
    files: [
      ...configFiles(input, workers, blocks, hasBrotli),
      ...siteFiles(blocks, hasBrotli),
      ...blocks.flatMap((block) => certificateFiles(input, block)),
      ...passwordFiles(input, blocks),
      ...limitsFiles(input, RELOAD),
      ...wafFiles(config, RELOAD),
      ...(relayed.files ?? []),
    ],
    notices: [...registryNotice(config), ...(relayed.notices ?? [])],
    standIns: [standIn(input)],
    reloads: {
      nginx: {
        test: NGINX.test,
        argv: NGINX.reload,
      },
      ...relayed.reloads,
    },
    validators: [
      {
        id: 'nginx',
        folder: 'nginx',
        image: edgeImage(config),
        argv: [...NGINX.test, '-g', 'user nginx;'],
        target: IN_CONTAINER.config,
        mounts: [{ source: folders.certificates, target: IN_CONTAINER.certificates }],
      },
    ],
  };
}

/** Rules for the whole machine are needed, and nobody else's that would drop what they send on. */
function standIn(input: ComponentInput): StandIn {
  const { facts, paths } = input;
  const relaying = relay(input);
  const obstacles = [
    ...(paths.state === pathsUnder().state ? [] : ['this server shares its machine with others']),
    ...(facts.nft ? [] : ['the program nft is missing (apt-get install nftables)']),
    ...(facts.otherFirewalls.length === 0
      ? []
      : [`${facts.otherFirewalls.join(', ')} may drop what is sent to a stand-in`]),
  ];
  const [impossible] = obstacles;
  return {
    service: 'nginx',
    network: EDGE_NETWORK,
    ...(relaying === undefined ? {} : { relay: relaying }),
    ...(impossible === undefined ? {} : { impossible }),
  };
}

function registryNotice({ images }: Config): Notice[] {
  if ((images.nginx?.source ?? images.source) !== 'registry') return [];
  return [
    {
      code: 'image/nginx-debian',
      text: 'nginx is built from Debian packages although images.source is registry: the official image has no Lua, by which requests find their replica',
    },
  ];
}

/** Whether each network that nginx joins is internal. */
function networkKinds(
  { config, facts }: ComponentInput,
  blocks: readonly HostBlock[],
): Record<string, { internal: boolean }> {
  const services = new Set(blocks.flatMap(({ locations }) => locations.map((at) => at.service)));
  const outward = [EDGE_NETWORK, ...[...services].map(appNetwork)].sort();
  return Object.fromEntries([
    ...outward.map((name) => [name, { internal: false }] as const),
    ...(config.monitoring.prometheus.enabled
      ? [[exporterNetwork('nginx'), { internal: true }] as const]
      : []),
    ...(hasLimits(config) ? [[LIMITS_NETWORK, { internal: true }] as const] : []),
    ...(facts.ipv6 ? [[RELAY_NETWORK, { internal: true }] as const] : []),
  ]);
}

/** Fixed where the relay has to find nginx. */
function addressOn(input: ComponentInput, network: string): FixedAddress | null {
  const address = network === RELAY_NETWORK ? relayedAddress(input) : undefined;
  return address === undefined ? null : { ipv4_address: address };
}

/** Volumes whose files a site offers for download. */
function downloadVolumes({ sites }: Config): string[] {
  const names = Object.values(sites).flatMap(({ downloads }) => downloads?.volume ?? []);
  return [...new Set(names)].sort();
}

/** Then its component declares the volume. */
function isUsedByContainer({ services, accessories }: Config, volume: string): boolean {
  return [...Object.values(services), ...Object.values(accessories)].some(({ volumes }) =>
    volumes.some(({ name }) => name === volume),
  );
}
