import t from 'tap';
import { agent } from '../../installer/components/agent/component.ts';
import { edgeCache } from '../../installer/components/edge-cache/component.ts';
import { nginx } from '../../installer/components/nginx/component.ts';
import { sites } from '../../installer/components/sites/component.ts';
import { tls } from '../../installer/components/tls/component.ts';
import {
  componentInput,
  configFrom,
  contributing,
  renderWith,
} from '../support/component-render.ts';
import { routeTo } from '../support/edge.ts';

/** What an apply tells the agent and `holdfast certificates renew`, and the server blocks that it writes. */
function rendered(text: string) {
  const config = configFrom(text);
  const routes = Object.values(config.services).flatMap(({ name, port = 3000, routes: own }) =>
    own.map(({ host, path }) => routeTo(name, port, { host, path })),
  );
  const { files } = renderWith(
    [contributing({ routes }), tls, nginx, sites, edgeCache, agent],
    componentInput(config),
  );
  const paths = [...files.keys()];
  const json = (name: string) =>
    JSON.parse(
      files.get(paths.find((path) => path.endsWith(`agent/${name}`)) ?? '')?.content ?? '',
    );
  return {
    wanted: json('certificates.json').acme?.certificates as { name: string; hosts: string[] }[],
    edgeHosts: json('agent.json').edgeHosts as string[],
    blocks: paths.flatMap((path) => /nginx\/hosts\/(.*)\.conf$/.exec(path)?.[1] ?? []).sort(),
  };
}

const EVERYTHING = `
domain: app.example.com
services: { web: { image: "a:1", port: 3000, routes: [{ path: / }, { host: api.example.com }] } }
sites: { front: { artifact: ./dist, hosts: [www.example.com] } }
edgeCache: [{ host: cdn.example.net, origin: "https://files.example.org" }]
`;

t.test('every host that is served gets its certificate, those of an edge cache too', async (t) => {
  const { wanted, edgeHosts, blocks } = rendered(EVERYTHING);
  const hosts = ['api.example.com', 'app.example.com', 'cdn.example.net', 'www.example.com'];
  t.strictSame(
    wanted,
    hosts.map((host) => ({ name: host, hosts: [host] })),
  );
  t.strictSame(edgeHosts, hosts);
  t.strictSame(blocks, hosts);
});

t.test('a wildcard takes what lies directly below the domain, and nothing else', async (t) => {
  const { wanted } = rendered(
    `${EVERYTHING.replaceAll('app.example', 'example')}\ntls: { challenge: dns-01, wildcard: true, dnsProvider: { kind: cloudflare, secretRef: DNS } }`,
  );
  t.strictSame(
    wanted.map(({ hosts }) => hosts),
    [['example.com', '*.example.com'], ['cdn.example.net']],
  );
});
