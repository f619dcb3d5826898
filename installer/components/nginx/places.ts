import { posix } from 'node:path';
import type { Paths } from '../../model/paths.ts';
import type { Secret } from '../../model/secret.ts';

/** uid and gid of nginx in Debian's image as built by us and in the official one. */
export const NGINX_UID = 101;

/** Above 1024: nginx never runs as root. The engine maps 80 and 443 to them. */
export const HTTP_PORT = 8080;
export const HTTPS_PORT = 8443;
/** Health and connection counters; never published. */
export const STATUS_PORT = 8081;

/** Folders in the container. `nginx -t` needs none of them to be mounted but the first two. */
export const IN_CONTAINER = {
  config: '/etc/nginx/holdfast',
  certificates: '/etc/nginx/certificates',
  challenges: '/etc/nginx/challenges',
  logs: '/var/log/nginx',
  bodies: '/var/cache/nginx',
  edge: '/run/holdfast/edge',
  /** Not there without the mount: `nginx -t` does not look for it. */
  sites: '/srv/sites',
  volumes: '/srv/volumes',
} as const;

export interface EdgeFolders {
  /** Rendered configuration. */
  readonly config: string;
  /** Certificates and keys; its parent is closed to all but root. */
  readonly certificates: string;
  /** Files that prove to an authority that a name leads here; shown on port 80. */
  readonly challenges: string;
  /** {@link AccessLine} per request, for the agent. */
  readonly logs: string;
  /** Request bodies that are too large for memory, on their way to a service. */
  readonly bodies: string;
  /** The state file that says where requests go. */
  readonly edge: string;
  /** Configuration of what takes connections over IPv6. */
  readonly relay: string;
  /** Releases of static sites. The parent of the links is mounted, so that nginx sees them switch. */
  readonly sites: string;
}

/** The same folders on the host. */
export function edgeFolders(paths: Paths): EdgeFolders {
  return {
    config: posix.join(paths.stack, 'nginx'),
    relay: posix.join(paths.stack, 'nginx-ipv6'),
    certificates: posix.join(paths.secretMounts, 'nginx'),
    challenges: posix.join(paths.state, 'acme-challenges'),
    logs: posix.join(paths.state, 'logs/nginx'),
    bodies: posix.join(paths.state, 'nginx-bodies'),
    edge: paths.edge,
    sites: paths.sites,
  };
}

/**
 * File with the key and the certificate of a host. One file, so that whoever is killed while writing leaves
 * no two that do not fit each other, with which nginx would not start.
 */
export function pairFile(host: string): string {
  return `${host}.pem`;
}

export function pairText(pair: { readonly certificate: string; readonly key: Secret }): string {
  return `${pair.key.reveal().trim()}\n${pair.certificate.trim()}\n`;
}
