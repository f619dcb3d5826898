import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { refuseOtherThanNetworks } from '../../installer/cli/cloudflare.ts';
import { publishedNetworks } from '../../installer/cli/cloudflare-lists.ts';
import { agent } from '../../installer/components/agent/component.ts';
import { CLOUDFLARE_NETWORKS } from '../../installer/components/cloudflare.ts';
import { nginx } from '../../installer/components/nginx/component.ts';
import type { Operation } from '../../installer/model/operation.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import {
  componentInput,
  configFrom,
  contributing,
  renderWith,
} from '../support/component-render.ts';
import { routeTo } from '../support/edge.ts';

const V4 = CLOUDFLARE_NETWORKS.filter((network) => !network.includes(':'));
const V6 = CLOUDFLARE_NETWORKS.filter((network) => network.includes(':'));

/** Asks a server that answers like Cloudflare's, with these lists. */
async function published(
  t: Test,
  lists: { readonly v4?: readonly string[]; readonly v6?: readonly string[] },
  answer: { readonly status?: number; readonly location?: string } = {},
): Promise<readonly string[]> {
  const server = createServer((request, response) => {
    const { v4 = V4, v6 = V6 } = lists;
    const { status = 200, location = '' } = answer;
    response.writeHead(status, { location });
    response.end((request.url === '/v4' ? v4 : v6).join('\n'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const url = (kind: string): string => `http://127.0.0.1:${port}/${kind}`;
  return publishedNetworks(CLOUDFLARE_NETWORKS, { v4: url('v4'), v6: url('v6') });
}

t.test('a list that grew or shrank a little is taken as it is', async (t) => {
  t.strictSame(await published(t, {}), CLOUDFLARE_NETWORKS);
  const v4 = [...V4.slice(1), '198.51.96.0/20', '198.51.96.0/20', ''];
  t.strictSame(await published(t, { v4 }), [...V4.slice(1), '198.51.96.0/20', ...V6]);
});

t.test('what could open or close the edge by mistake is not', async (t) => {
  const wrong = {
    'an empty list': { v4: [] },
    'the whole internet': { v4: [...V4, '0.0.0.0/0'] },
    'half of it': { v6: [...V6, '8000::/1'] },
    'a network of our own': { v4: [...V4, '10.0.0.0/16'] },
    loopback: { v4: [...V4, '127.0.0.0/24'] },
    'no networks but a page': { v4: ['<html>', ...V4] },
    'more than a word': { v4: [...V4, '173.245.48.0/20; allow all'] },
    'an address without a network': { v4: [...V4, '173.245.48.1'] },
    'the other version': { v6: V4 },
    'all others than before': {
      v4: V4.map((_, index) => `45.${index}.0.0/20`),
      v6: V6.slice(0, 3),
    },
    'a list without end': { v4: Array.from({ length: 200 }, (_, index) => `45.${index}.0.0/20`) },
    'too many bytes': { v4: Array.from({ length: 5000 }, () => '173.245.48.0/20 ') },
  };
  for (const [name, lists] of Object.entries(wrong)) {
    await t.rejects(published(t, lists), { code: 'host/cloudflare-lists' }, name);
  }
  await t.rejects(published(t, {}, { status: 503 }), { message: /it answered 503/ });
  const location = 'http://127.0.0.1:1/';
  await t.rejects(published(t, {}, { status: 302, location }), { code: 'host/cloudflare-lists' });
  const nowhere = { v4: 'http://127.0.0.1:1/', v6: 'http://127.0.0.1:1/' };
  await t.rejects(publishedNetworks(CLOUDFLARE_NETWORKS, nowhere), { message: /127\.0\.0\.1:1/ });
});

t.test('what is known here outweighs the program, and is asked for every day', async (t) => {
  const config = configFrom('domain: a.example.com\nhttp: { realIp: cloudflare }\nservices: {}');
  const render = (cloudflare?: readonly string[]) => {
    const input = componentInput(config, cloudflare === undefined ? {} : { cloudflare });
    const { files } = renderWith([nginx, agent], input);
    const { stack } = input.paths;
    return {
      nginx: files.get(`${stack}/nginx/nginx.conf`)?.content ?? '',
      agent: files.get(`${stack}/agent/agent.json`)?.content ?? '',
    };
  };
  t.match(render().nginx, /set_real_ip_from "?173\.245\.48\.0\/20/);
  const newer = render(['198.51.96.0/20']);
  t.match(newer.nginx, /set_real_ip_from "?198\.51\.96\.0\/20/);
  t.notMatch(newer.nginx, '173.245.48.0/20');
  t.match(newer.agent, /"cloudflare",\s+"refresh"/);
  const plain = configFrom('domain: a.example.com\nservices: {}');
  const { files } = renderWith([nginx, agent], componentInput(plain));
  t.notMatch(files.get(`${pathsUnder().stack}/agent/agent.json`)?.content, /cloudflare/);
});

t.test('nothing else is carried along', async (t) => {
  const paths = pathsUnder();
  const write = (path: string): Operation => ({
    ...{ kind: 'write-file', id: `write-file:${path}`, path, cause: 'changed', impact: 'none' },
    ...{ diff: '', secret: false },
  });
  const refused = (...operations: Operation[]) =>
    refuseOtherThanNetworks({ project: 'p', operations, notices: [], drift: [] }, paths);
  const reload = { kind: 'reload', id: 'reload:nginx', service: 'nginx' } as const;
  const own = [write(paths.lock), write(`${paths.stack}/nginx/nginx.conf`)];
  refused(...own, { ...reload, cause: '', impact: 'reload' });
  const config = configFrom('domain: a.example.com\nhttp: { realIp: cloudflare }\nservices: {}');
  const route = routeTo('web', 3000, { host: config.domain });
  const filesWith = (cloudflare: readonly string[]) => {
    const input = componentInput(config, { cloudflare });
    const overIpv6 = { ...input, facts: { ...input.facts, ipv6: true } };
    return renderWith([contributing({ routes: [route] }), nginx, agent], overIpv6).files;
  };
  const before = filesWith(['2400:cb00::/32']);
  const changed = [...filesWith(['2606:4700::/32'])].filter(
    ([path, { content }]) => content !== before.get(path)?.content,
  );
  t.ok(changed.some(([path]) => path.endsWith('nginx-ipv6/relay.conf')));
  refused(
    ...changed.map(([path]) => write(path)),
    ...['nginx', 'nginx-ipv6'].map(
      (service): Operation => ({ ...reload, service, cause: '', impact: 'reload' }),
    ),
  );
  t.throws(() => refused(...own, write(`${paths.stack}/nginx/hosts/a.conf`)), {
    code: 'config/not-applied',
    why: /hosts\/a\.conf/,
  });
});
