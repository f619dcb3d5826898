import type { Contribution, FileSpec } from '../../model/contribution.ts';
import { RELAY_SERVICE, type Relay } from '../../model/stand-in.ts';
import type { ComponentInput } from '../component.ts';
import { edgeImage } from '../http/waf.ts';
import { requiredImage } from '../platform-image.ts';
import { edgeFolders, HTTP_PORT, HTTPS_PORT, NGINX_UID } from './places.ts';
import { type RealIp, realIp } from './real-ip.ts';

/**
 * Where the relay hands on connections over IPv6: nginx and the host alone are on it. Its subnet is known before any
 * other is allocated, since nginx believes the relay by the host's address there.
 */
export const RELAY_NETWORK = 'nginx-ipv6';
/** The last one of those that `render/subnets.ts` gives out. */
export const RELAY_SUBNET = '10.213.255.192/26';

/** Ports of nginx that nobody but the relay is believed on. */
const RELAYED = { http: 8090, https: 8453 } as const;
/** The same for what comes from a proxy that is trusted, and says in a header who asks. */
const RELAYED_PROXIED = { http: 8091, https: 8454 } as const;

/** In `nginx/`: names every trusted proxy. */
const RELAYED_PROXIES_FILE = 'snippets/relayed-proxies.conf';

/** Files of the stack, beside nginx.conf, that name the proxies which are trusted. */
export const FILES_OF_PROXIES = [
  `nginx/${RELAYED_PROXIES_FILE}`,
  'nginx-ipv6/relay.conf',
  'nginx-ipv6/stand-in.conf',
] as const;

/** Of the stand-in, while the relay is replaced. Below `STAND_IN_FIRST_PORT`. */
const STAND_IN_PORTS = { http: 17_078, https: 17_079 } as const;

/** The program itself, bytes. */
const BASE_MEMORY = 24 * 1024 ** 2;
/** Two buffers of 16 KiB, and what the kernel's answers need. */
const MEMORY_PER_CONNECTION = 34 * 1024;

type RelayInput = Pick<ComponentInput, 'config' | 'facts' | 'cloudflare' | 'relaySubnet'>;
type Ports = Readonly<Record<'http' | 'https', number>>;

/** One way in. Each has a server block of its own for a host, since nginx looks for the client in one place of a block. */
export interface Door {
  readonly http: readonly DoorPort[];
  readonly https: readonly DoorPort[];
  /** Whose word about the client is believed, where that is not as at the first door. */
  readonly believes?: Snippet;
}

/** A file that changes with the networks of proxies, so that the files of hosts do not. */
interface Snippet {
  /** In `nginx/`. */
  readonly path: string;
  readonly realIp: RealIp;
}

interface DoorPort {
  readonly port: number;
  /** What comes in begins with the relay's word, in the PROXY protocol. */
  readonly relayed: boolean;
}

/** How nginx is reached, and who is believed at the first door. */
export interface Doors {
  readonly doors: readonly [Door, ...Door[]];
  readonly realIp: RealIp;
}

/** Networks and addresses that speak for others, at whichever door. */
export function proxiesOf({ doors, realIp: first }: Doors): readonly string[] {
  const believed = doors.flatMap(({ believes }) => believes?.realIp.trusted ?? []);
  return [...new Set([...first.trusted, ...believed])];
}

export function doorsOf({ config, facts, cloudflare, relaySubnet }: RelayInput): Doors {
  const proxies = realIp(config.http.realIp, cloudflare);
  const direct = door({ http: HTTP_PORT, https: HTTPS_PORT }, false);
  if (!facts.ipv6) return { doors: [direct], realIp: proxies };
  const host = addressIn(relaySubnet, 'host');
  const relayed = door(RELAYED, true);
  const byRelay = { trusted: [host], header: 'proxy_protocol' };
  // Over IPv4 nobody says anything in that protocol, so that one block does for both.
  if (proxies.trusted.length === 0) {
    const both = {
      http: [...direct.http, ...relayed.http],
      https: [...direct.https, ...relayed.https],
    };
    return { doors: [both], realIp: byRelay };
  }
  const byProxies = { ...proxies, trusted: [host, ...proxies.trusted] };
  return {
    doors: [
      direct,
      { ...relayed, believes: { path: 'snippets/relayed.conf', realIp: byRelay } },
      {
        ...door(RELAYED_PROXIED, true),
        believes: { path: RELAYED_PROXIES_FILE, realIp: byProxies },
      },
    ],
    realIp: proxies,
  };
}

/** Those files, as nginx reads them. */
export function snippetFiles(
  doors: readonly Door[],
  common: Pick<FileSpec, 'component' | 'onChange'>,
): FileSpec[] {
  return doors.flatMap(({ believes }) => {
    if (believes === undefined) return [];
    const { trusted, header } = believes.realIp;
    const lines = trusted.map((network) => `set_real_ip_from ${network};\n`);
    const text = `# Who is believed here.\n${lines.join('')}real_ip_header ${header};\n`;
    return [{ ...common, path: `nginx/${believes.path}`, content: { text } }];
  });
}

function door(ports: Ports, relayed: boolean): Door {
  return {
    http: [{ port: ports.http, relayed }],
    https: [{ port: ports.https, relayed }],
  };
}

/** nginx's own address on the network that it shares with the relay; undefined where there is none. */
export function relayedAddress({ facts, relaySubnet }: RelayInput): string | undefined {
  return facts.ipv6 ? addressIn(relaySubnet, 'nginx') : undefined;
}

/** What the stand-in of nginx needs to know of the relay. */
export function relay({ facts, relaySubnet }: RelayInput): Relay | undefined {
  if (!facts.ipv6) return undefined;
  return {
    service: RELAY_SERVICE,
    network: RELAY_NETWORK,
    address: addressIn(relaySubnet, 'stand-in'),
    command: ['-c', '/etc/nginx/holdfast/stand-in.conf'],
    ports: [
      { published: 80, through: STAND_IN_PORTS.http },
      { published: 443, through: STAND_IN_PORTS.https },
    ],
  };
}

/**
 * A second nginx in the host's own network that takes connections over IPv6 and says in front of each, in the PROXY
 * protocol, who asks: what Docker publishes over IPv6 comes from one address of the host.
 */
export function relayContribution(
  input: ComponentInput,
  workers: number,
): Pick<Contribution, 'fragments' | 'files' | 'reloads' | 'notices'> {
  const { config, facts, relaySubnet } = input;
  if (!facts.ipv6) return { notices: [IPV4_ONLY] };
  const { workerConnections } = config.http;
  const { trusted } = realIp(config.http.realIp, input.cloudflare);
  const file = (name: string, ports: Ports, who: 'nginx' | 'stand-in'): FileSpec => ({
    path: `nginx-ipv6/${name}.conf`,
    component: 'nginx',
    content: {
      template: 'nginx/relay.conf.ejs',
      data: {
        workers,
        // One to the client and one to nginx.
        connections: workerConnections * 2,
        openFiles: workerConnections * 2 + 64,
        proxies: trusted.filter((network) => network.includes(':')),
        doors: (['http', 'https'] as const).map((door) => ({
          name: door,
          listen: `[::]:${ports[door]}`,
          to: `${addressIn(relaySubnet, who)}:${RELAYED[door]}`,
          proxied: `${addressIn(relaySubnet, who)}:${RELAYED_PROXIED[door]}`,
        })),
      },
      format: 'nginx',
    },
    onChange: [{ kind: 'reload', service: RELAY_SERVICE }],
  });
  return {
    fragments: [
      {
        component: 'nginx',
        template: 'nginx-ipv6.yaml.ejs',
        data: {
          service: RELAY_SERVICE,
          image: requiredImage(input, edgeImage(config)).reference,
          entrypoint: [
            ...asNginx(),
            ...['--inh-caps=-all,+net_bind_service', '--ambient-caps=-all,+net_bind_service'],
            'nginx',
          ],
          folder: edgeFolders(input.paths).relay,
          memory: BASE_MEMORY + workers * workerConnections * MEMORY_PER_CONNECTION,
        },
      },
    ],
    files: [
      file('relay', { http: 80, https: 443 }, 'nginx'),
      file('stand-in', STAND_IN_PORTS, 'stand-in'),
    ],
    reloads: {
      [RELAY_SERVICE]: {
        // As the user that it runs as: root in there may send signals to nobody else's program.
        argv: [...asNginx(), 'nginx', '-c', '/etc/nginx/holdfast/relay.conf', '-s', 'reload'],
      },
    },
  };
}

function asNginx(): [string, ...string[]] {
  return ['setpriv', `--reuid=${NGINX_UID}`, `--regid=${NGINX_UID}`, '--clear-groups'];
}

const IPV4_ONLY = {
  code: 'edge/ipv4-only',
  text: 'this machine has no IPv6: it is reached over IPv4 only, and an AAAA record must not lead here',
};

/** Of a /26: the engine gives the host the first address; the last ones are far from those that it gives to others. */
function addressIn(subnet: string | undefined, who: 'host' | 'nginx' | 'stand-in'): string {
  const [network = ''] = (subnet ?? RELAY_SUBNET).split('/');
  const bytes = network.split('.').map(Number);
  const offset = { host: 1, nginx: 62, 'stand-in': 61 }[who];
  return [...bytes.slice(0, 3), (bytes[3] ?? 0) + offset].join('.');
}
