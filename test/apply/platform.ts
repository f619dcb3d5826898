import type { HttpCheck } from '../../installer/model/contribution.ts';
import type { Desired, DesiredFile } from '../../installer/model/desired.ts';
import { type LockedImage, type LockFile, lockFileText } from '../../installer/model/lock-file.ts';
import { Secret } from '../../installer/model/secret.ts';
import type { Stack, StackPort, StackService } from '../../installer/model/stack.ts';
import { RELAY_SERVICE, type Relay } from '../../installer/model/stand-in.ts';
import type { Observed } from '../../installer/plan/observed.ts';
import { composeSecretsText, composeText } from '../../installer/render/compose-file.ts';
import { specDigest } from '../../installer/render/stack.ts';
import { desiredFile, desiredWith } from '../support/desired.ts';
import { PATHS } from './world.ts';

const { stack: STACK } = PATHS;

/** What a test varies of the platform. */
export interface PlatformOptions {
  readonly web?: string;
  readonly webReplicas?: number;
  /** What `web` listens on. */
  readonly webPort?: number;
  /** A rollback has brought this release of `web` back. */
  readonly rolledBack?: boolean;
  /** A variable of `web`. */
  readonly webLevel?: string;
  readonly nginxConf?: string;
  readonly roles?: string;
  readonly unit?: string;
  readonly withCache?: boolean;
  readonly page?: string;
  /** A secret that web reads as a file. */
  readonly token?: string;
  /** Whether web and the database share a network of their own. */
  readonly dataNetwork?: boolean;
  /** How the replicas of web are asked from outside. */
  readonly webCheck?: HttpCheck;
  /** Images of further services that differ from their first one, by service. */
  readonly moreImages?: Readonly<Record<string, string>>;
  /** Further services of the product, with nothing to migrate. */
  readonly more?: readonly string[];
  /** What the server's database runs from. */
  readonly postgres?: { readonly image: LockedImage; readonly volume: string };
  /** Ports that nginx publishes. */
  readonly published?: readonly string[];
  /** Image of nginx. */
  readonly nginx?: string;
  /** What takes connections over IPv6 in front of nginx. */
  readonly relay?: boolean;
  /** Bytes. */
  readonly relayMemory?: number;
}

/** Its name is given on the network of its peers only when it is healthy. */
function rolledOf({ dataNetwork = true, more = [], webPort }: PlatformOptions): Desired['rolled'] {
  const peerNetworks = dataNetwork ? ['data-web'] : [];
  return new Map(
    ['web', ...more].map((name) => [
      name,
      {
        service: name,
        port: name === 'web' ? (webPort ?? 3000) : 3000,
        peerNetworks: name === 'web' ? peerNetworks : [],
        watchSeconds: 5,
      },
    ]),
  );
}

const RELAY: Relay = {
  service: RELAY_SERVICE,
  network: 'relayed',
  address: '10.9.2.61',
  command: ['-c', '/stand-in.conf'],
  ports: [
    { published: 80, through: 17_078 },
    { published: 443, through: 17_079 },
  ],
};

const ROLLED_BACK: LockFile['services'] = {
  web: {
    reference: 'holdfast-build/web:1',
    version: '1',
    source: 'build',
    wish: 'build',
    pinned: true,
    rolledBack: true,
  },
};

let generated = 0;

/**
 * A small platform with one of everything: images of three kinds, a generated secret, files that reload,
 * restart, provision and run a command on the host, a database that comes before the app, a migration.
 */
export function platform(options: PlatformOptions = {}): (observed: Observed) => Desired {
  return (observed) => {
    const stored = observed.secrets.get('DB_PASSWORD');
    generated += 1;
    const password = stored ?? new Secret(`generated-password-${generated}`);
    const environment = { web: { DATABASE_URL: password } };
    const stack = stackOf(options);
    const rolled = rolledOf(options);
    const specs = new Map(
      Object.entries(stack.services).map(([name, service]) => [
        name,
        specDigest(service, name === 'web' ? environment.web : undefined),
      ]),
    );
    const { roles = 'web', unit = 'on' } = options;
    const text = JSON.stringify(options);
    const lock = {
      version: 1,
      images: options.postgres === undefined ? {} : { postgres: options.postgres.image },
      services: options.rolledBack === true ? ROLLED_BACK : {},
      subnets: { front: '10.9.0.0/24' },
      ...(options.postgres === undefined ? {} : { postgresVolume: options.postgres.volume }),
    } as const;
    const fileList = [
      desiredFile(`${STACK}/compose.yaml`, composeText(stack, specs, rolled)),
      desiredFile(`${STACK}/compose.secrets.yaml`, composeSecretsText(environment, rolled), {
        mode: 0o600,
        secret: true,
      }),
      desiredFile(PATHS.lock, lockFileText(lock)),
      desiredFile(`${STACK}/nginx/nginx.conf`, options.nginxConf ?? 'worker 1;\n', {
        onChange: [{ kind: 'reload', service: 'nginx' }],
      }),
      desiredFile(`${STACK}/postgres/postgresql.conf`, `roles ${roles}\n`, {
        onChange: [{ kind: 'restart', service: 'postgres' }],
      }),
      desiredFile('/etc/systemd/system/holdfast-agent.service', `[Unit] ${unit}\n`, {
        onChange: [
          {
            kind: 'host',
            id: 'agent-unit',
            argv: ['systemctl', 'daemon-reload'],
            impact: 'none',
          },
        ],
      }),
      ...pageFiles(options),
      ...tokenFiles(options),
    ];
    return desiredWith({
      fileList,
      stack,
      specs,
      lock,
      images: imagesOf(stack),
      newSecrets: stored === undefined ? new Map([['DB_PASSWORD', password]]) : new Map(),
      reloads: { nginx: { test: ['nginx', '-t'], argv: ['nginx', '-s', 'reload'] } },
      validators: [
        {
          id: 'nginx',
          folder: 'nginx',
          image: 'nginx',
          argv: ['nginx', '-t'],
          target: '/etc/nginx',
        },
      ],
      provisions: [
        {
          id: 'postgres-roles',
          service: 'postgres',
          argv: ['psql'],
          stdin: `ALTER ROLE web PASSWORD '${password.reveal()}'`,
          digest: `roles ${roles}`,
          summary: 'roles of web',
        },
      ],
      migrations: [{ service: 'web', argv: ['migrate'] }],
      httpChecks: options.webCheck === undefined ? [] : [options.webCheck],
      rolled,
      standIns: [
        { service: 'nginx', network: 'front', ...(options.relay === true && { relay: RELAY }) },
      ],
      directories: [
        { path: PATHS.stack, mode: 0o755, uid: 0, gid: 0 },
        { path: PATHS.secrets, mode: 0o700, uid: 0, gid: 0 },
        { path: PATHS.metrics, mode: 0o755, uid: 65_534, gid: 65_534 },
      ],
      configDigest: Buffer.from(text).toString('hex'),
    });
  };
}

function pageFiles({ page }: PlatformOptions): DesiredFile[] {
  return page === undefined ? [] : [desiredFile(`${STACK}/site/pages/page.html`, page)];
}

function tokenFiles({ token }: PlatformOptions): DesiredFile[] {
  const path = `${PATHS.secretMounts}/web/TOKEN`;
  return token === undefined ? [] : [desiredFile(path, token, { secret: true, mode: 0o400 })];
}

function stackOf(options: PlatformOptions): Stack {
  const { web = '1', webReplicas = 1, webLevel, withCache = true } = options;
  const { dataNetwork = true, published } = options;
  const database = options.postgres?.volume ?? 'postgres';
  const networks = { front: null, ...(dataNetwork ? { 'data-web': null } : {}) };
  const services: Record<string, StackService> = {
    postgres: service(options.postgres?.image.reference ?? 'holdfast/postgres:17', {
      networks,
      volumes: [volume(database)],
    }),
    web: service(`holdfast-build/web:${web}`, {
      networks,
      scale: webReplicas,
      ...(webLevel === undefined ? {} : { environment: { LEVEL: webLevel } }),
      depends_on: { postgres: { condition: 'service_healthy' } },
    }),
    nginx: service(`holdfast/nginx:${options.nginx ?? '1.26'}`, {
      ...(published === undefined ? {} : { ports: published.map(port) }),
      ...(options.relay === true && {
        networks: { front: null, relayed: { ipv4_address: '10.9.2.62' } },
      }),
      depends_on: { web: { condition: 'service_healthy' } },
    }),
  };
  for (const name of options.more ?? []) {
    services[name] = service(`holdfast-build/${name}:${options.moreImages?.[name] ?? '1'}`, {
      depends_on: { postgres: { condition: 'service_healthy' } },
    });
  }
  if (options.relay === true) {
    services[RELAY_SERVICE] = service(`holdfast/nginx:${options.nginx ?? '1.26'}`, {
      network_mode: 'host',
      ...(options.relayMemory !== undefined && { mem_limit: options.relayMemory }),
      networks: {},
      depends_on: { web: { condition: 'service_healthy' } },
    });
  }
  if (withCache)
    services['cache'] = service('registry.example/cache:1', { volumes: [volume('cache')] });
  return {
    project: 'demo',
    services,
    networks: {
      front: { internal: false, subnet: '10.9.0.0/24' },
      ...(dataNetwork ? { 'data-web': { internal: true, subnet: '10.9.1.0/24' } } : {}),
      ...(options.relay === true && { relayed: { internal: true, subnet: '10.9.2.0/26' } }),
    },
    volumes: {
      [database]: { component: 'postgres' },
      ...(withCache ? { cache: { component: 'cache' } } : {}),
    },
  };
}

function imagesOf({ services }: Stack): Desired['images'] {
  const actions: Desired['images'] = new Map([
    ['holdfast/postgres:15', { kind: 'bake', target: 'postgres' }],
    ['holdfast/postgres:17', { kind: 'bake', target: 'postgres' }],
    ['holdfast/nginx:1.26', { kind: 'bake', target: 'nginx' }],
    ['holdfast/nginx:1.27', { kind: 'bake', target: 'nginx' }],
    ['registry.example/cache:1', { kind: 'pull' }],
  ]);
  return new Map(
    Object.values(services).map(({ image }) => [
      image,
      actions.get(image) ?? { kind: 'build', context: '/src', dockerfile: 'Dockerfile', args: {} },
    ]),
  );
}

function port(published: string): StackPort {
  return { target: Number(published), published, protocol: 'tcp', mode: 'host' };
}

function volume(source: string): { type: 'volume'; source: string; target: string } {
  return { type: 'volume', source, target: '/data' };
}

function service(image: string, more: Partial<StackService>): StackService {
  return {
    image,
    networks: { front: null },
    healthcheck: { test: ['CMD', 'true'] },
    mem_limit: 64 * 1024 ** 2,
    ...more,
  };
}
