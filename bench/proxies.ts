import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { edgeFolders, pairFile } from '../installer/components/nginx/places.ts';
import { pathsUnder } from '../installer/model/paths.ts';
import { addressOf, builtImage, docker } from '../test/support/containers.ts';
import { routeTo, TestEdge } from '../test/support/edge.ts';
import type { Figure } from './figure.ts';
import { ofEnded } from './measure.ts';

const HOST = 'app.example.com';
const CONNECTIONS = 64;
const ROUNDS = 3;
/** Seconds of one round of one proxy. */
const SECONDS = Number(process.env['HOLDFAST_BENCH_SECONDS'] ?? 4);
const IMAGE = 'holdfast-bench/proxies';
/** USER_HZ of Linux. */
const TICKS_A_SECOND = 100;

const CONFIG = `
project: proxies
domain: ${HOST}
services:
  web: { image: "a:1", port: 3000, replicas: 2 }
`;
/** About what a small JSON answer weighs. */
const PROGRAM = `
const body = JSON.stringify({ items: Array.from({ length: 20 }, (_, id) => ({ id, name: 'item ' + id })) });
const server = require('node:http').createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
});
server.keepAliveTimeout = 75_000;
server.listen(Number(process.argv[3]));
process.on('SIGTERM', () => process.exit());
`;

/**
 * nginx as somebody tunes it by hand.
 * @param pid file name
 * @param http what it does for each request besides
 * @param location the same, in each location
 */
const nginxByHand = (pid: string, http: string, location: string): string => `
daemon off;
worker_processes auto;
pid /tmp/${pid}.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  ${http}
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000;
  ssl_session_cache shared:tls:5m;
  upstream app { server proxies-web-1:3000; server proxies-web-2:3000; keepalive 128; }
  upstream fast { server fast:3001; keepalive 128; }
  server {
    listen 8443 ssl;
    http2 on;
    server_name ${HOST};
    ssl_certificate /etc/bench/pair.pem;
    ssl_certificate_key /etc/bench/pair.pem;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr;
    ${location}
    location / { proxy_pass http://app; }
    location /fast/ { proxy_pass http://fast; }
  }
}`;

/** Files of the others: each as its own manual says for speed, with the same two replicas and the same certificate. */
const FILES: Readonly<Record<string, string>> = {
  'nginx.conf': nginxByHand('bare', 'access_log off;', ''),
  'duties.conf': nginxByHand(
    'duties',
    `log_format requests escape=json '{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method","host":"$host","path":"$uri","status":$status,"bytes":$bytes_sent,"seconds":$request_time,"upstream":"$upstream_addr","upstream_status":"$upstream_status","upstream_seconds":"$upstream_response_time","user_agent":"$http_user_agent","request_id":"$request_id"}';
  access_log /tmp/access.json requests buffer=64k flush=1s;
  gzip on;
  gzip_types application/json;`,
    `proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Request-Id $request_id;
    proxy_hide_header X-Powered-By;
    add_header Strict-Transport-Security "max-age=31536000" always;
    add_header X-Content-Type-Options nosniff always;
    add_header X-Frame-Options SAMEORIGIN always;
    add_header Referrer-Policy strict-origin-when-cross-origin always;`,
  ),
  'haproxy.cfg': `
global
  maxconn 4096
defaults
  mode http
  timeout connect 3s
  timeout client 65s
  timeout server 60s
  option forwardfor
  http-reuse always
frontend edge
  bind :8443 ssl crt /etc/bench/pair.pem alpn h2,http/1.1
  use_backend fast if { path_beg /fast/ }
  default_backend app
backend app
  balance roundrobin
  server one proxies-web-1:3000
  server two proxies-web-2:3000
backend fast
  server fast fast:3001
`,
  Caddyfile: `{
  admin off
  auto_https off
}
https://${HOST}:8443 {
  tls /etc/bench/pair.pem /etc/bench/pair.pem
  reverse_proxy /fast/* fast:3001
  reverse_proxy proxies-web-1:3000 proxies-web-2:3000
}
`,
  'fast.conf': `
daemon off;
worker_processes 1;
pid /tmp/fast.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000;
  server { listen 3001; location / { default_type text/plain; return 200 "as fast as it gets\\n"; } }
}`,
  Dockerfile: `ARG BASE
FROM \${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends nginx haproxy caddy wrk && rm -rf /var/lib/apt/lists/*
`,
};

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  'bare nginx': ['nginx', '-c', '/etc/bench/nginx.conf'],
  // What a product needs of it: a log, security headers, who asks, an id, gzip.
  'nginx with the same duties': ['nginx', '-c', '/etc/bench/duties.conf'],
  HAProxy: ['haproxy', '-db', '-f', '/etc/bench/haproxy.cfg'],
  Caddy: ['caddy', 'run', '--adapter', 'caddyfile', '--config', '/etc/bench/Caddyfile'],
};

interface Run {
  /** Answers a second. */
  readonly rate: number;
  /** Milliseconds. */
  readonly p99: number;
  /** Microseconds of processor that the proxy itself took for one answer: the same on a busy machine. */
  readonly processor: number;
}

interface Proxy {
  readonly container: string;
  readonly address: string;
}

/** Our nginx beside a bare one, HAProxy and Caddy, all from Debian, over TLS to the same app, in turns. */
export async function benchProxies(): Promise<Figure[]> {
  const edge = await TestEdge.start(
    CONFIG,
    // A service that the state does not name is found by its name.
    [routeTo('web', 3000, {}), routeTo('missing', 3001, { path: '/fast/' })],
    {},
    { program: PROGRAM },
  );
  try {
    const proxies = await startOthers(edge);
    const figures: Figure[] = [];
    for (const [what, path] of [
      ['Node app, two replicas', '/'],
      ['answer of nginx itself', '/fast/'],
    ] as const) {
      figures.push(...figuresOf(what, await measure(proxies, path)));
    }
    return figures;
  } finally {
    await edge.stop();
  }
}

/** @returns by name, ours among them */
async function startOthers(edge: TestEdge): Promise<ReadonlyMap<string, Proxy>> {
  const folder = join(edge.folder, 'bench');
  await mkdir(folder);
  for (const [name, text] of Object.entries(FILES)) await writeFile(join(folder, name), text);
  const { certificates } = edgeFolders(pathsUnder(edge.folder));
  await copyFile(join(certificates, pairFile(HOST)), join(folder, 'pair.pem'));
  const base = await builtImage('nginx');
  await docker('build', '--quiet', '--tag', IMAGE, '--build-arg', `BASE=${base}`, folder);
  const network = await docker(
    'inspect',
    '--format',
    '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}',
    edge.container,
  );
  const start = (alias: string, command: readonly string[]): Promise<string> =>
    edge.stack.run(
      IMAGE,
      [
        ...['--network', network, '--network-alias', alias, '--user', '0', '--entrypoint', ''],
        ...['--mount', `type=bind,source=${folder},target=/etc/bench,readonly`],
      ],
      command,
    );
  await start('missing', ['nginx', '-c', '/etc/bench/fast.conf']).then((id) =>
    docker('network', 'disconnect', network, id).then(() =>
      docker('network', 'connect', '--alias', 'missing', '--alias', 'fast', network, id),
    ),
  );
  const proxies = new Map<string, Proxy>([['holdfast', edge]]);
  for (const [name, command] of Object.entries(COMMANDS)) {
    const container = await start(name.replaceAll(' ', '-'), command);
    proxies.set(name, { container, address: await addressOf(container) });
  }
  return proxies;
}

async function measure(
  proxies: ReadonlyMap<string, Proxy>,
  path: string,
): Promise<ReadonlyMap<string, readonly Run[]>> {
  const runs = new Map<string, Run[]>();
  // In turns, so that what else the machine does falls on all of them.
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, proxy] of proxies) {
      const known = runs.get(name) ?? [];
      known.push(await load(name, proxy, path));
      runs.set(name, known);
    }
  }
  return runs;
}

async function load(name: string, { container, address }: Proxy, path: string): Promise<Run> {
  const before = await processorSeconds(container);
  const said = await docker(
    ...[
      'run',
      '--rm',
      '--network',
      'host',
      '--add-host',
      `${HOST}:${address}`,
      '--entrypoint',
      'wrk',
    ],
    ...[
      IMAGE,
      '-t2',
      `-c${CONNECTIONS}`,
      `-d${SECONDS}s`,
      '--latency',
      `https://${HOST}:8443${path}`,
    ],
  );
  if (/Non-2xx|Socket errors/.test(said)) throw new Error(`${name}: ${said}`);
  const used = (await processorSeconds(container)) - before;
  const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(said)?.[1]);
  const answers = Number(/(\d+) requests in/.exec(said)?.[1]);
  const [, value, unit] = /99%\s+([\d.]+)(us|ms|s)\b/.exec(said) ?? [];
  if (Number.isNaN(rate) || unit === undefined) throw new Error(`${name}: ${said}`);
  const p99 = Number(value) * ({ us: 0.001, ms: 1, s: 1000 }[unit] ?? Number.NaN);
  return { rate, p99, processor: (used / answers) * 1e6 };
}

/** Of all processes in a container; a health check that ends meanwhile took next to nothing. */
async function processorSeconds(container: string): Promise<number> {
  const listed = await docker('top', container, '-o', 'pid');
  const pids = listed.split('\n').slice(1);
  const ticks = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid.trim()}/stat`, 'utf8').catch(ofEnded);
      if (stat === 0) return 0;
      // User and system time stand fourteenth and fifteenth; the name before may have spaces.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return Number(fields[11]) + Number(fields[12]);
    }),
  );
  return ticks.reduce((sum, one) => sum + one, 0) / TICKS_A_SECOND;
}

function figuresOf(what: string, runs: ReadonlyMap<string, readonly Run[]>): Figure[] {
  const middle = (name: string, of: (run: Run) => number): number =>
    (runs.get(name) ?? []).map(of).toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Number.NaN;
  const rate = (name: string) => middle(name, (run) => run.rate);
  const p99 = (name: string) => middle(name, (run) => run.p99);
  const processor = (name: string) => middle(name, (run) => run.processor);
  return [
    ...[...runs.keys()].map((name) => ({
      what: `${what}: ${name}, answers a second, p99, processor each`,
      value: `${Math.round(rate(name))}, ${p99(name).toFixed(1)} ms, ${Math.round(processor(name))} µs`,
    })),
    {
      what: `${what}: holdfast of bare nginx, rate`,
      value: (rate('holdfast') / rate('bare nginx')).toFixed(2),
      goal: '≥ 0.95',
    },
    {
      what: `${what}: holdfast of nginx with the same duties, rate`,
      value: (rate('holdfast') / rate('nginx with the same duties')).toFixed(2),
    },
    {
      what: `${what}: holdfast of bare nginx, p99`,
      value: (p99('holdfast') / p99('bare nginx')).toFixed(2),
    },
  ];
}
