import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { firewall } from '../../installer/components/firewall/component.ts';
import { prometheus } from '../../installer/components/prometheus/component.ts';
import { storage } from '../../installer/components/storage/component.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import {
  componentInput,
  configFrom,
  contributing,
  imagesWith,
  renderWith,
} from '../support/component-render.ts';
import { builtImage, docker, writeDesired } from '../support/containers.ts';

const CONFIG = `
domain: app.example.com
services:
  web: { image: "a:1", port: 3000, uses: [postgres, redis], metrics: {}, replicas: 2 }
postgres: { pitr: { enabled: true } }
backups: { drill: { every: monthly }, recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p] }
objectives: { rto: 1h, rpo: 5m }
storage:
  providers: { main: { kind: s3, endpoint: "https://s3.example.com", secretRef: MAIN } }
  buckets: { docs: { provider: main, name: acme-documents } }
monitoring:
  slo: { p95: 0.5, availability: 99.9 }
  rules:
    - { name: redis-nearly-full, metric: redis_memory_ratio, op: ">", value: 0.9, severity: page }
    - { name: long-queue, metric: queue_length, op: ">", value: 100, for: 2m }
`;
const TESTS = join(import.meta.dirname, '../promtool');

const folder = await mkdtemp(join(tmpdir(), 'holdfast-rules-'));
t.teardown(() => rm(folder, { recursive: true }));
const paths = pathsUnder(folder);
const image = await builtImage('prometheus');
const scrapes = [
  { job: 'web', service: 'web', port: 3000, path: '/metrics', replicated: true },
  { job: 'api', service: 'api', port: 3000, path: '/figures', replicated: false },
];
const input = componentInput(configFrom(CONFIG), {
  paths,
  images: imagesWith({ prometheus: image }),
});
const desired = renderWith([contributing({ scrapes }), firewall, storage, prometheus], input);
await writeDesired(desired);

function promtool(...args: string[]): Promise<string> {
  const mounts = [
    [`${paths.stack}/prometheus`, '/etc/prometheus'],
    [TESTS, '/tests'],
  ].flatMap(([source, target]) => [
    '--mount',
    `type=bind,source=${source},target=${target},readonly`,
  ]);
  const options = ['--rm', '--network', 'none', '--label', 'io.holdfast.test=1', ...mounts];
  return docker('run', ...options, '--entrypoint', 'promtool', image, ...args);
}

t.test('promtool accepts the configuration and every rule', async (t) => {
  const said = await promtool('check', 'config', '/etc/prometheus/prometheus.yml');
  t.match(said, /SUCCESS: .*prometheus\.yml is valid/);
  t.match(said, /SUCCESS: \d+ rules found/);
});

t.test('each rule fires when it should, and only then', async (t) => {
  for (const name of await readdir(TESTS)) {
    t.match(await promtool('test', 'rules', `/tests/${name}`), /SUCCESS/, name);
  }
});

t.test('no rule is without a test in which it fires, and none without a runbook', async (t) => {
  const rules = [...desired.files.values()].filter(({ path }) => path.includes('/rules/'));
  const texts = await Promise.all(
    (await readdir(TESTS)).map((name) => readFile(join(TESTS, name), 'utf8')),
  );
  const fired = texts
    .join('\n')
    .split(/- (?=eval_time:|\{ eval_time)/)
    .filter((test) => test.includes('exp_labels'))
    .flatMap((test) => /alertname: (\S+)/.exec(test)?.[1] ?? []);
  const names = rules.flatMap(({ content }) =>
    [...content.matchAll(/- alert: "(.+)"/g)].map(([, name]) => name),
  );
  t.ok(names.length > 15);
  t.same(
    [...new Set(names)].filter((name) => !fired.includes(name ?? '')),
    [],
  );
  const runbooks = rules.flatMap(({ content }) =>
    [...content.matchAll(/runbook: "(.+)"/g)].map(([, name]) => `${name}.md`),
  );
  const pages = await readdir(join(import.meta.dirname, '../../docs/runbooks'));
  t.same(
    [...new Set(runbooks)].filter((page) => !pages.includes(page)),
    [],
  );
});
