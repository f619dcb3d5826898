import type { FileSpec, Reaction } from '../../model/contribution.ts';
import type { ComponentInput } from '../component.ts';
import { signsForBuckets } from '../edge-cache/buckets.ts';
import { cacheHosts } from '../edge-cache/origins.ts';
import { bansPasswordGuessers } from '../firewall/jails.ts';
import { hasWaf } from '../http/waf.ts';
import { logFormat } from './access-log.ts';
import { passwordFile } from './basic-auth.ts';
import { CLAIMS } from './claims.ts';
import { CORS_MAX_AGE, CORS_METHODS, corsOf } from './cors.ts';
import { ERROR_PAGES } from './error-pages.ts';
import type { HostBlock } from './hosts.ts';
import { hasLimits } from './limits.ts';
import { luaFiles } from './lua-files.ts';
import { edgeFolders, IN_CONTAINER, NGINX_UID, pairFile, pairText } from './places.ts';
import { doorsOf, proxiesOf, snippetFiles } from './relay.ts';
import { securityHeaders } from './security-headers.ts';
import { siteFileInContainer } from './site-files.ts';

export const RELOAD: readonly Reaction[] = [{ kind: 'reload', service: 'nginx' }];

/** Modules in `nginx/lua/`, which nginx finds by name: `require("balancer")`. */
const LUA_MODULES = [
  'balancer',
  'clients',
  'closing',
  'complaint',
  'gate',
  'maintenance',
  'replicas',
  'request-id',
  'status',
];

/** Of one client in `nginx/lua/clients.lua`, bytes; all connections may be of different ones. */
const MEMORY_PER_CLIENT = 128;

/** Everything that nginx reads, but for certificates and passwords. */
export function configFiles(
  input: Pick<ComponentInput, 'config' | 'facts' | 'cloudflare' | 'relaySubnet'>,
  workers: number,
  blocks: readonly HostBlock[],
  brotli: boolean,
): FileSpec[] {
  const { config } = input;
  const headers = securityHeaders(config);
  const { doors, realIp } = doorsOf(input);
  const { workerConnections } = config.http;
  const cors = corsOf(config.http);
  const file = (path: string, template: string, data: Record<string, unknown>): FileSpec => ({
    path: `nginx/${path}`,
    component: 'nginx',
    content: { template: `nginx/${template}.ejs`, data, format: 'nginx' },
    onChange: RELOAD,
  });
  return [
    file('nginx.conf', 'nginx.conf', {
      workers,
      brotli,
      workerConnections,
      openFiles: workerConnections * 2 + 256,
      maxBody: config.http.clientMaxBodySize,
      gzip: config.http.gzip,
      doors,
      realIp,
      proxies: proxiesOf({ doors, realIp }),
      clientMaxRequests: config.http.clientMaxRequests,
      clientsMemory: `${Math.ceil((workers * workerConnections * MEMORY_PER_CLIENT) / 1024)}k`,
      anonymiseClients: config.logs.anonymise.includes('ip'),
      logFormat: logFormat({ anonymised: config.logs.anonymise.includes('ip') }),
      countsPasswords: bansPasswordGuessers(config),
      headers,
      limits: hasLimits(config),
      waf: hasWaf(config),
      cors: cors && { ...cors, methods: CORS_METHODS, maxAge: CORS_MAX_AGE },
      hosts: [...blocks, ...cacheHosts(config)].map(({ host }) => host),
      routed: [
        ...new Set(blocks.flatMap(({ locations }) => locations.map(({ service }) => service))),
      ].sort(),
      tlsProtocols: config.tls.minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2 TLSv1.3',
    }),
    ...luaFiles(
      [...LUA_MODULES, ...(hasLimits(config) || signsForBuckets(config) ? ['digests'] : [])].map(
        (name) => `${name}.lua`,
      ),
      { component: 'nginx', onChange: RELOAD },
    ),
    {
      path: 'nginx/reload.sh',
      component: 'nginx',
      content: { template: 'nginx/reload.sh', data: {}, format: 'plain' },
      onChange: [],
    },
    file('snippets/headers.conf', 'snippets/headers.conf', {
      headers,
      cors,
      limits: hasLimits(config),
    }),
    ...snippetFiles(doors, { component: 'nginx', onChange: RELOAD }),
    file('snippets/proxy.conf', 'snippets/proxy.conf', {
      cloudflare: config.http.realIp === 'cloudflare',
    }),
    file('snippets/claims.conf', 'snippets/claims.conf', { claims: CLAIMS }),
    file('snippets/hidden.conf', 'snippets/hidden.conf', { headers, cors }),
    file('snippets/targets.conf', 'snippets/targets.conf', {}),
    file('snippets/errors.conf', 'snippets/errors.conf', { pages: ERROR_PAGES }),
    file('snippets/error-files.conf', 'snippets/error-files.conf', {}),
    file('snippets/maintenance.conf', 'snippets/maintenance.conf', {}),
    file('snippets/maintenance-service.conf', 'snippets/maintenance-service.conf', {}),
    ...ERROR_PAGES.map(
      (page): FileSpec => ({
        path: `nginx/errors/${page.status}.html`,
        component: 'nginx',
        content: { template: 'nginx/errors/page.html.ejs', data: { ...page }, format: 'plain' },
      }),
    ),
    ...blocks.map((block) =>
      file(`hosts/${block.host}.conf`, 'host.conf', {
        ...block,
        doors,
        cors,
        siteFile: block.site && siteFileInContainer(block.site),
        waf: hasWaf(config),
        http2: config.http.http2 ? 'on' : 'off',
        challenges: IN_CONTAINER.challenges,
        pair: `${IN_CONTAINER.certificates}/${pairFile(block.host)}`,
        locations: block.locations.map((location) => ({
          ...location,
          sticky: location.sticky ?? 'no',
          passwordFile:
            location.basicAuth && `${IN_CONTAINER.certificates}/${location.basicAuth}.passwords`,
        })),
      }),
    ),
  ];
}

/** Certificate and key of one host; the certificate also apart, for whoever may not read the key. */
export function certificateFiles(
  input: ComponentInput,
  { host }: Pick<HostBlock, 'host'>,
): FileSpec[] {
  const pair = input.certificates.get(host);
  if (pair === undefined) throw new Error(`no certificate was made for ${host}`);
  const folder = edgeFolders(input.paths).certificates;
  return [
    {
      path: `${folder}/${host}.crt`,
      component: 'nginx',
      content: { text: pair.certificate },
      onChange: RELOAD,
    },
    secretFile(`${folder}/${pairFile(host)}`, pairText(pair)),
  ];
}

/** One file for each secret of `basicAuth`. */
export function passwordFiles(input: ComponentInput, blocks: readonly HostBlock[]): FileSpec[] {
  const folder = edgeFolders(input.paths).certificates;
  const used = blocks.flatMap(({ locations }) => locations.map(({ basicAuth }) => basicAuth));
  const names = [...new Set(used)].filter((name) => name !== undefined).sort();
  return names.map((name) =>
    secretFile(`${folder}/${name}.passwords`, passwordFile(name, input.secret(name))),
  );
}

function secretFile(path: string, text: string): FileSpec {
  return {
    path,
    component: 'nginx',
    content: { text },
    secret: true,
    mode: 0o400,
    uid: NGINX_UID,
    gid: NGINX_UID,
    onChange: RELOAD,
  };
}
