import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { commandTable } from '../../installer/cli/table.ts';
import { firewall } from '../../installer/components/firewall/component.ts';
import { prometheus } from '../../installer/components/prometheus/component.ts';
import { longestGap } from '../../installer/components/prometheus/cron-gap.ts';
import { metricExpression } from '../../installer/components/prometheus/metric-words.ts';
import { storage } from '../../installer/components/storage/component.ts';
import type { Desired } from '../../installer/model/desired.ts';
import {
  componentInput,
  configFrom,
  contributing,
  renderWith,
} from '../support/component-render.ts';

const RUNBOOKS = join(import.meta.dirname, '../../docs/runbooks');
const BARE = 'domain: app.example.com\nservices: { web: { image: "a:1", port: 3000 } }\n';
const SCRAPES = [
  { job: 'web', service: 'web', port: 9100, path: '/figures', replicated: true },
  {
    job: 'node-exporter',
    service: 'node-exporter',
    port: 3000,
    path: '/metrics',
    replicated: false,
  },
];

function rendered(text: string, systemd = true): Desired {
  const input = componentInput(configFrom(text));
  const facts = { ...input.facts, systemd };
  return renderWith([contributing({ scrapes: SCRAPES }), firewall, storage, prometheus], {
    ...input,
    facts,
  });
}

function yamlOf(desired: Desired, name: string) {
  return parse(desired.files.get(`/var/lib/holdfast/stack/prometheus/${name}`)?.content ?? '');
}

t.test('the longest pause of a schedule', async (t) => {
  const hour = 3_600;
  const cases: readonly (readonly [string, number])[] = [
    ['*/15 * * * *', hour / 4],
    ['0 */6 * * *', 6 * hour],
    ['0 2 * * *', 24 * hour],
    ['0 2,14 * * *', 12 * hour],
    ['0 8,20 * * *', 12 * hour],
    ['0 1,3 * * *', 22 * hour],
    ['0 4 * * 0', 7 * 24 * hour],
    ['0 4 * * 7', 7 * 24 * hour],
    ['0 4 * * mon,thu', 4 * 24 * hour],
    ['0 5 1 * *', 31 * 24 * hour],
    ['0 5 1 */3 *', 92 * 24 * hour],
    ['0 0 13 * fri', 7 * 24 * hour],
    ['0 0 1 jan *', 366 * 24 * hour],
    // As the agent runs them: on days that are both.
    ['0 3 */2 * 1', 21 * 24 * hour],
    ['0 3 1 * */2', 153 * 24 * hour],
  ];
  for (const [cron, seconds] of cases) t.equal(longestGap(cron), seconds, cron);
});

t.test(
  'every word of the config language has an expression, other names stand for themselves',
  async (t) => {
    const words = [
      'node_cpu_percent',
      'node_memory_percent',
      'node_disk_percent',
      'node_disk_free_bytes',
      'http_error_ratio',
      'http_p95_seconds',
      'upstream_unhealthy',
      'pg_connections_ratio',
      'redis_memory_ratio',
      'probe_success',
      'certificate_days_left',
      'backup_age_seconds',
      'wal_age_seconds',
      'restore_test_seconds',
    ];
    for (const word of words) t.not(metricExpression(word), word);
    t.equal(metricExpression('mongodb_connections'), 'mongodb_connections');
  },
);

t.test('exporters, rules and secrets are those of what the server has', async (t) => {
  const bare = rendered(BARE);
  t.same(Object.keys(bare.stack.services), ['prometheus', 'node-exporter', 'nginx-exporter']);
  t.notOk([...bare.files.keys()].some((path) => /rules\/(postgres|redis)\.yml/.test(path)));
  const full = rendered(BARE.replace('port: 3000', 'port: 3000, uses: [postgres, redis]'));
  t.same(Object.keys(full.stack.services).slice(3), ['postgres-exporter', 'redis-exporter']);
  t.match(full.files.get('/var/lib/holdfast/secret-mounts/redis-exporter/REDIS_MONITOR_PASSWORD'), {
    content: '{"redis://holdfast_monitor@redis:6379":"secret of REDIS_MONITOR_PASSWORD"}\n',
    mode: 0o400,
    uid: 65_534,
    secret: true,
  });
  t.notMatch(JSON.stringify(full.stack), 'secret of');
  t.equal(
    prometheus.enabled(configFrom(`${BARE}monitoring: { prometheus: { enabled: false } }`)),
    false,
  );
});

t.test('services are scraped where they say, on a network shared with nobody else', async (t) => {
  const desired = rendered(
    `${BARE}monitoring: { prometheus: { scrapeInterval: 5s, retention: 30d } }`,
  );
  const { global, scrape_configs: jobs } = yamlOf(desired, 'prometheus.yml');
  t.match(global, { scrape_interval: '5s', scrape_timeout: '5s' });
  t.match(jobs.at(-2), {
    job_name: 'web',
    metrics_path: '/figures',
    honor_labels: false,
    dns_sd_configs: [{ names: ['web'], type: 'A', port: 9100 }],
  });
  t.equal(jobs.at(-1).job_name, 'service-node-exporter', 'no two jobs have one name');
  const service = desired.stack.services['prometheus'];
  t.same(Object.keys(service?.networks ?? {}), ['monitor', 'data-web', 'data-node-exporter']);
  t.ok(service?.command?.includes('--storage.tsdb.retention.time=30d'));
  t.notOk(service?.ports);
  for (const network of Object.values(desired.stack.networks)) t.equal(network.internal, true);
});

t.test('disks that are mounted later are seen where the root is a shared mount', async (t) => {
  const hostMount = (systemd: boolean) =>
    rendered(BARE, systemd).stack.services['node-exporter']?.volumes?.[0];
  t.match(hostMount(true), { source: '/', read_only: true, bind: { propagation: 'rslave' } });
  t.notOk(hostMount(false)?.bind?.propagation);
});

t.test('a job that waits for its window may be a day old, however often it is due', async (t) => {
  const limits = (window: string) => {
    const jobs = '[{ name: often, source: appliance, method: archive, cron: "0 * * * *" }]';
    const desired = rendered(`${BARE}backups: { ${window} jobs: ${jobs} }`);
    const content = [...desired.files.values()].map((file) => file.content).join('\n');
    return [...content.matchAll(/often has not succeeded for more than (\w+)/g)].map(
      ([, age]) => age,
    );
  };
  t.strictSame(limits(''), ['3h']);
  t.strictSame(limits('window: { from: "01:00", to: "05:00" },'), ['27h']);
});

t.test(
  'runbooks: one for each alert, none for an alert that is gone, with commands that exist',
  async (t) => {
    const desired = rendered(
      `${BARE.replace('port: 3000', 'port: 3000, uses: [postgres, redis]')}postgres: { pitr: {} }\nobjectives: { rto: 1h, rpo: 5m }\nbackups: { drill: { every: monthly }, recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p] }\nmonitoring: { slo: { p95: 1 }, rules: [{ name: mine, metric: up, op: "<", value: 1 }] }\nstorage: { providers: { main: { kind: s3, endpoint: "https://s3.example.com", secretRef: MAIN } }, buckets: { docs: { provider: main, name: acme-documents } } }`,
    );
    const named = [...desired.files.values()]
      .flatMap(({ content }) => [...content.matchAll(/runbook: "(.+)"/g)])
      .map(([, name]) => `${name}.md`);
    // The agent itself raises this one: no rule can.
    named.push('prometheus-silent.md');
    // The page of the bad day belongs to no alert: README leads to it.
    const texts = readdirSync(RUNBOOKS).map(
      (page) => [page, readFileSync(join(RUNBOOKS, page), 'utf8')] as const,
    );
    const pages = texts.filter(([, text]) => text.includes('\nAlerts: '));
    t.same(pages.map(([page]) => page).sort(), [...new Set(named)].sort());
    const known = commandTable.map(({ name }) => name);
    for (const [page, text] of pages) {
      for (const heading of ['Meaning', 'Check', 'Fix', 'Next command']) {
        t.match(text, `\n## ${heading}\n`, page);
      }
      for (const [, words = ''] of text.matchAll(/(?:`|^)holdfast ([a-z -]+)/gm)) {
        t.ok(
          known.some((command) => `${words} `.startsWith(`${command} `)),
          `${page}: holdfast ${words}`,
        );
      }
    }
  },
);

t.test('what a restore test found lost is held against a promise, else against pitr', async (t) => {
  const rule = (text: string): { expr: string; annotations: { summary: string } } | undefined =>
    [...rendered(text).files.values()]
      .filter(({ path }) => path.includes('/prometheus/rules/'))
      .flatMap(({ content }) => parse(String(content)).groups)
      .flatMap(({ rules }) => rules)
      .find(({ alert }) => alert === 'RecoveryPointTooOld');
  const pitr = `${BARE}postgres: { pitr: { enabled: true, rpo: 60s } }\n`;
  t.equal(rule(`${BARE}postgres: {}\n`), undefined);
  t.equal(rule(pitr)?.expr, 'max(holdfast_restore_test_lost_seconds) > 120');
  t.match(rule(pitr)?.annotations.summary, /; 1m was promised\.$/);
  const slow = rule(`${BARE}postgres: { pitr: { enabled: true, rpo: 15m } }\n`);
  t.equal(slow?.expr, 'max(holdfast_restore_test_lost_seconds) > 960');
  const promised = rule(`${pitr}objectives: { rpo: 5m }\n`);
  t.equal(promised?.expr, 'max(holdfast_restore_test_lost_seconds) > 300');
});
