import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import t from 'tap';
import { nginx } from '../../installer/components/nginx/component.ts';
import { sites } from '../../installer/components/sites/component.ts';
import type { Desired } from '../../installer/model/desired.ts';
import {
  componentInput,
  configFrom,
  contributing,
  renderWith,
} from '../support/component-render.ts';
import { routeTo } from '../support/edge.ts';

const SERVICES = 'services: { web: { image: "a:1", port: 3000 } }';

function rendered(configText: string, routes = [routeTo('web', 3000, {})], ipv6 = false): Desired {
  const config = configFrom(`domain: app.example.com\n${configText}`);
  const input = componentInput(config);
  const facts = { ...input.facts, ipv6 };
  return renderWith([contributing({ routes }), nginx], { ...input, facts });
}

function fileOf(desired: Desired, name: string): string {
  return desired.files.get(`/var/lib/holdfast/stack/nginx/${name}`)?.content ?? '';
}

t.test(
  'nginx alone publishes 80 and 443, and joins only networks of what it routes to',
  async (t) => {
    const { stack } = rendered(SERVICES);
    t.same(Object.keys(stack.networks).sort(), ['a-edge', 'app-web', 'exporter-nginx']);
    t.same(
      stack.services['nginx']?.ports?.map(({ published, target }) => [published, target]),
      [
        ['80', 8080],
        ['443', 8443],
      ],
    );
    t.equal(stack.networks['a-edge']?.internal, false);
    const quiet = rendered(`${SERVICES}\nmonitoring: { prometheus: { enabled: false } }`);
    t.notOk('exporter-nginx' in quiet.stack.networks);
  },
);

t.test('a key is readable by nginx only, and a change of any file reloads', async (t) => {
  const { files } = rendered(SERVICES);
  const key = files.get('/var/lib/holdfast/secret-mounts/nginx/app.example.com.pem');
  t.match(key, { mode: 0o400, uid: 101, secret: true });
  for (const file of files.values()) {
    if (!/nginx.*\.(conf|crt|pem)$/.test(file.path)) continue;
    t.match(file.onChange, [{ kind: 'reload', service: 'nginx' }], file.path);
  }
});

t.test('a host that is added changes no file of another host', async (t) => {
  const before = rendered(SERVICES);
  const config = configFrom(
    `domain: app.example.com
services: { web: { image: "a:1", port: 3000, routes: [{ path: / }, { host: b.example.com }] } }`,
  );
  const routes = [routeTo('web', 3000, {}), routeTo('web', 3000, { host: 'b.example.com' })];
  const after = renderWith([contributing({ routes }), nginx], componentInput(config));
  t.match(fileOf(after, 'hosts/b.example.com.conf'), 'server_name "b.example.com";');
  t.equal(
    fileOf(after, 'hosts/app.example.com.conf'),
    fileOf(before, 'hosts/app.example.com.conf'),
  );
});

t.test('settings of the config arrive', async (t) => {
  const plain = fileOf(rendered(SERVICES), 'nginx.conf');
  t.match(plain, 'ssl_protocols TLSv1.2 TLSv1.3;');
  t.match(plain, 'worker_connections "4096";');
  t.match(plain, 'worker_rlimit_nofile "8448";');
  t.match(plain, 'require("clients").start("512")');
  t.match(plain, 'lua_shared_dict clients "1024k";');
  t.notMatch(plain, 'set_real_ip_from');
  const set = rendered(
    `${SERVICES}
tls: { minVersion: "1.3", issuer: selfsigned }
http: { gzip: false, http2: false, workerConnections: 1000, clientMaxRequests: 7, clientMaxBodySize: 1g, realIp: cloudflare }
logs: { anonymise: [ip] }`,
  );
  const conf = fileOf(set, 'nginx.conf');
  t.match(conf, 'ssl_protocols TLSv1.3;');
  t.match(conf, 'worker_connections "1000";');
  t.match(conf, 'client_max_body_size "1073741824";');
  t.match(conf, 'require("clients").start("7")');
  t.match(conf, 'set_real_ip_from "104.16.0.0/13";');
  t.match(conf, '"104.16.0.0/13" 1;', 'an address of theirs is no client');
  t.match(conf, 'real_ip_header "CF-Connecting-IP";');
  t.match(conf, '$v4_part.0');
  t.notMatch(conf, 'gzip on');
  t.match(fileOf(set, 'hosts/app.example.com.conf'), 'http2 "off";');
  t.match(conf, /map \$https \$hsts \{\s+default "";\s+on "";/, 'a private CA sends no HSTS');
});

t.test('over IPv6 the relay tells trusted proxies from everybody else', async (t) => {
  const { files, stack } = rendered(`${SERVICES}\nhttp: { realIp: cloudflare }`, undefined, true);
  const conf = (name: string): string =>
    files.get(`/var/lib/holdfast/stack/${name}`)?.content ?? '';
  const host = conf('nginx/hosts/app.example.com.conf');
  t.equal(host.split('listen 8443 ssl;').length - 1, 1);
  t.match(host, /listen 8453 ssl proxy_protocol;\s+include ".*snippets\/relayed.conf";/);
  t.match(host, /listen 8454 ssl proxy_protocol;\s+include ".*snippets\/relayed-proxies.conf";/);
  t.equal(
    conf('nginx/snippets/relayed.conf').replace(/^#.*\n/, ''),
    'set_real_ip_from 10.213.255.193;\nreal_ip_header proxy_protocol;\n',
  );
  t.match(
    conf('nginx/snippets/relayed-proxies.conf'),
    /from 10\.213\.255\.193;[\s\S]*from 2400:cb00::\/32;[\s\S]*header CF-Connecting-IP;/,
  );
  const first = conf('nginx/nginx.conf');
  t.notMatch(first, 'set_real_ip_from "10.213.255.193"', 'at the first door nobody is the relay');
  t.match(first, '"10.213.255.193" 1;', 'whose address is no client');
  const relay = conf('nginx-ipv6/relay.conf');
  t.match(relay, /default "10\.213\.255\.254:8453";\s+"2400:cb00::\/32" "10\.213\.255\.254:8454";/);
  t.notMatch(relay, '104.16.0.0/13', 'IPv4 does not come in here');
  t.match(conf('nginx-ipv6/stand-in.conf'), /listen "\[::\]:17079" ipv6only=on/);
  t.strictSame(stack.services['nginx']?.networks['nginx-ipv6'], { ipv4_address: '10.213.255.254' });
});

t.test('the relay is healthy while a worker runs, and not by the look itself', async (t) => {
  const { stack } = rendered(SERVICES, undefined, true);
  const [kind, text = ''] = stack.services['nginx-ipv6']?.healthcheck.test ?? [];
  t.equal(kind, 'CMD-SHELL');
  // Under a name that no other process of this machine has.
  const mark = `ginx-${randomUUID()}:`;
  const isHealthy = (): boolean =>
    spawnSync('/bin/sh', ['-c', text.replace('ginx:', mark)]).status === 0;
  t.notOk(isHealthy(), 'nobody is there');
  for (const [title, wanted] of [
    ['master process nginx', false],
    ['worker process', true],
    ['worker process is shutting down', false],
  ] as const) {
    const program = spawn('sleep', ['600'], { argv0: `n${mark} ${title}` });
    await once(program, 'spawn');
    t.equal(isHealthy(), wanted, title);
    program.kill();
    await once(program, 'exit');
  }
});

t.test('without IPv6 there is no relay, and the plan says so', async (t) => {
  const { files, stack, notices } = rendered(SERVICES);
  t.notOk(stack.services['nginx-ipv6']);
  t.notOk([...files.keys()].some((path) => path.includes('nginx-ipv6')));
  t.match(notices, [{ code: 'edge/ipv4-only', text: /no IPv6/ }]);
});

t.test(
  'a path is closed for its metrics unless a route or downloads name it: never both',
  async (t) => {
    const metrics = 'services: { web: { image: "a:1", port: 3000, metrics: { path: /%73tats } } }';
    const site = 'sites: { f: { artifact: ./d, hosts: [app.example.com] } }';
    const downloads = site.replace('] }', '], downloads: { path: "/st%61ts", volume: v } }');
    const ways = (text: string, routes = [routeTo('web', 3000, { path: '/api/' })]) => {
      const config = configFrom(`domain: app.example.com\n${metrics}\n${text}`);
      const desired = renderWith([contributing({ routes }), sites, nginx], componentInput(config));
      const text_ = `${fileOf(desired, 'hosts/app.example.com.conf')}${fileOf(desired, 'sites/app.example.com.conf')}`;
      const found = text_.matchAll(/^ *(if|location) (.*\/stats.*) \{/gm);
      return [...found].map(([, kind, what]) => `${kind} ${what}`);
    };
    t.match(ways(site), [/^if \(\$uri ~ "\^\(\?i:\/stats\)/], 'closed');
    t.strictSame(ways(downloads), ['location "/stats/"'], 'decoded, as nginx compares it');
    const routes = ['/', '/stats'].map((path) => routeTo('web', 3000, { path }));
    t.strictSame(ways('', routes), ['location = "/stats"', 'location "/stats"']);
  },
);

t.test('without a service for / the host answers 404 there', async (t) => {
  const deeper = rendered(SERVICES, [routeTo('web', 3000, { path: '/api/' })]);
  const bare = fileOf(deeper, 'hosts/app.example.com.conf');
  t.match(bare, /location \/ \{[^}]*return 404;/);
  const all = rendered(`${SERVICES}\nhttp: { denyPaths: [/] }`);
  t.notMatch(fileOf(all, 'hosts/app.example.com.conf'), 'proxy_pass');
});

t.test(
  'without any route there is no host, and what headers say of limits is known all the same',
  async (t) => {
    const limits = 'http: { rateLimits: [{ name: all, limit: 9 }] }';
    const files = rendered(`${SERVICES}\n${limits}`, []);
    const conf = fileOf(files, 'nginx.conf');
    t.notMatch(conf, '# app.example.com');
    for (const name of ['rate_limit', 'rate_limit_policy', 'retry_after']) {
      t.match(conf, `set $${name} "";`);
    }
  },
);

t.test('needs: an image, and a certificate for each host that is routed', async (t) => {
  const config = configFrom(`
domain: app.example.com
services:
  web: { image: "a:1", port: 1, routes: [{ path: /, basicAuth: USERS }, { host: b.example.com }] }
`);
  t.match(nginx.needs?.(config), {
    images: [{ image: 'nginx', source: 'debian' }],
    hosts: [
      { host: 'app.example.com', usedBy: 'services.web.routes' },
      { host: 'b.example.com', usedBy: 'services.web.routes' },
    ],
    secrets: [{ name: 'USERS', optional: false, usedBy: 'services.web.routes' }],
  });
});

t.test('a host that goes is a reason to reload', async (t) => {
  const two =
    'services: { web: { image: "a:1", port: 3000, routes: [{}, { host: b.example.com }] } }';
  const both = rendered(two, [
    routeTo('web', 3000, {}),
    routeTo('web', 3000, { host: 'b.example.com' }),
  ]);
  t.not(fileOf(both, 'nginx.conf'), fileOf(rendered(two), 'nginx.conf'));
});

t.test('without http.cors the edge says nothing about other origins', async (t) => {
  const { files } = rendered(SERVICES);
  for (const file of files.values()) t.notMatch(file.content, /cors|Access-Control/, file.path);
});

t.test('an answer for everybody goes without credentials', async (t) => {
  const all = fileOf(
    rendered(`${SERVICES}\nhttp: { cors: { allowOrigins: ["*"] } }`),
    'nginx.conf',
  );
  t.match(all, /map \$http_origin \$cors_origin \{\s+default "\*";\s+"" "";/);
  t.match(all, /\$cors_credentials \{\s+default "";/);
  const cors = 'http: { cors: { allowOrigins: ["https://a.example.com"], credentials: false } }';
  t.match(
    fileOf(rendered(`${SERVICES}\n${cors}`), 'nginx.conf'),
    /\$cors_credentials \{\s+default "";/,
  );
});
