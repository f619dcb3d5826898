import t from 'tap';
import { allNeeds } from '../../installer/cli/needs.ts';
import { agent } from '../../installer/components/agent/component.ts';
import { edgeCache } from '../../installer/components/edge-cache/component.ts';
import { nginx } from '../../installer/components/nginx/component.ts';
import { components } from '../../installer/components/registry.ts';
import { sites } from '../../installer/components/sites/component.ts';
import { tls } from '../../installer/components/tls/component.ts';
import { wantedCertificates } from '../../installer/components/tls/settings.ts';
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

t.test(
  'a domain where nothing leads belongs to somebody else: no block, no certificate',
  async (t) => {
    const { wanted, edgeHosts, blocks } = rendered(`
domain: example.com
services: { web: { image: "a:1", port: 3000, routes: [{ host: app.example.com }] } }
`);
    t.strictSame(wanted, [{ name: 'app.example.com', hosts: ['app.example.com'] }]);
    t.strictSame(edgeHosts, ['app.example.com']);
    t.strictSame(blocks, ['app.example.com']);
  },
);

t.test(
  'Grafana is served under a name that is demanded only where somebody wrote it',
  async (t) => {
    const needOf = (more: string) => {
      const config = configFrom(
        `domain: example.com\nservices: { web: { image: "a:1", port: 3000 } }\n${more}`,
      );
      const named = allNeeds(components, config).hosts.find(({ host }) => /grafana/.test(host));
      return { named, wanted: wantedCertificates(config, ['example.com', 'grafana.example.com']) };
    };
    const unwritten = needOf('');
    t.match(unwritten.named, { usedBy: 'monitoring.grafana.host', isUnasked: true });
    t.strictSame(unwritten.wanted, [
      { name: 'example.com', hosts: ['example.com'] },
      { name: 'grafana.example.com', hosts: ['grafana.example.com'], isUnasked: true },
    ]);
    const written = needOf('monitoring: { grafana: { host: grafana.example.com } }');
    t.notOk(written.named?.isUnasked);
    t.strictSame(written.wanted[1], {
      name: 'grafana.example.com',
      hosts: ['grafana.example.com'],
    });
  },
);
