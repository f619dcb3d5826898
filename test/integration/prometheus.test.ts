import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { askPrometheus } from '../../agent/alerts/ask-prometheus.ts';
import { AlertWatch } from '../../agent/alerts/watch.ts';
import { systemClock } from '../../agent/clock.ts';
import { commandTable } from '../../installer/cli/table.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { alertFolders } from '../../installer/model/alert.ts';
import { agentMetrics } from '../support/agent-metrics.ts';
import { runCommand } from '../support/cli.ts';
import { docker, logsOf, waitFor } from '../support/containers.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MeasuredStack, memoryOf } from '../support/measured-stack.ts';

const stack = await MeasuredStack.start(agentMetrics());
t.teardown(() => stack.stop());

t.test('every target answers: exporters, the service, Prometheus itself', async (t) => {
  const up = await waitFor('all targets up', async () => {
    const found = await stack.query('up == 1');
    return found.length === 6 ? found : undefined;
  });
  t.same(up.map(({ metric }) => metric['job']).sort(), [
    'nginx-exporter',
    'node-exporter',
    'postgres-exporter',
    'prometheus',
    'redis-exporter',
    'web',
  ]);
  for (const expression of ['pg_up == 1', 'redis_up == 1', 'nginx_up == 1']) {
    t.ok((await stack.until(expression)).length, expression);
  }
});

t.test('the host behind the container is seen, not the container', async (t) => {
  const [root] = await stack.until('node_filesystem_size_bytes{mountpoint="/"}');
  t.ok(root, 'the root of the host');
  const shown = await stack.query(
    'node_filesystem_size_bytes{mountpoint=~"/(host|proc|sys|run).*"}',
  );
  t.same(shown, []);
  t.ok((await stack.until('node_memory_MemTotal_bytes > 1e9')).length);
});

t.test('metrics of the agent keep their own labels', async (t) => {
  const [backup] = await stack.until('holdfast_backup_last_size_bytes');
  t.match(backup?.metric, { job: 'daily' });
  t.ok((await stack.until('holdfast_probe_success{name="web"} == 1')).length);
  t.match((await stack.until('node_textfile_mtime_seconds'))[0]?.metric['file'], 'holdfast.prom');
});

t.test('a service brings metrics of its own', async (t) => {
  t.equal((await stack.until('demo_orders_total{job="web"}'))[0]?.value[1], '7');
});

t.test('every rule is loaded and evaluates without an error', async (t) => {
  const groups = [...stack.desired.files.values()]
    .filter(({ path }) => path.includes('/prometheus/rules/'))
    .flatMap(({ content }) => [...content.matchAll(/^ *- name: /gm)]);
  t.ok(groups.length > 3);
  await waitFor('all rule groups', async () => {
    const loaded = await stack.query('prometheus_rule_group_rules');
    return loaded.length === groups.length ? true : undefined;
  });
  t.same(await stack.query('prometheus_rule_evaluation_failures_total > 0'), []);
  const firing = await stack.query('ALERTS{alertstate="firing"}');
  t.same(
    firing.filter(({ metric }) => !metric['alertname']?.startsWith('Host')),
    [],
  );
});

t.test('it says nothing, keeps no password in sight, and stays small', async (t) => {
  const names = [
    'prometheus',
    'node-exporter',
    'postgres-exporter',
    'redis-exporter',
    'nginx-exporter',
  ];
  let total = 0;
  for (const name of names) {
    const container = stack.container(name);
    t.notMatch(await docker('inspect', container), 'secret-of-', name);
    t.notMatch(await logsOf(container), /level=error/, name);
    const bytes = await memoryOf(container);
    total += bytes;
    t.ok(bytes < 120 * 1024 ** 2, `${name}: ${Math.round(bytes / 1024 ** 2)} MiB`);
  }
  t.ok(total < 180 * 1024 ** 2, `all: ${Math.round(total / 1024 ** 2)} MiB`);
});

t.test('a changed config is taken without a restart', async (t) => {
  const container = stack.container('prometheus');
  const { test = [], argv } = stack.desired.reloads['prometheus'] ?? { argv: [] };
  await docker('exec', container, ...test);
  const [before] = await stack.query('prometheus_config_last_reload_success_timestamp_seconds');
  await docker('exec', container, ...argv);
  await stack.until(
    `prometheus_config_last_reload_success_timestamp_seconds > ${before?.value[1]}`,
  );
  t.equal(
    await docker('inspect', '-f', '{{.RestartCount}} {{.State.Running}}', container),
    '0 true',
  );
});

t.test('a rule that fires is told to a receiver', async (t) => {
  const heard: { event?: string; firing?: { name: string; severity: string }[] }[] = [];
  const server = createServer(async (request, response) => {
    heard.push(JSON.parse(await text(request)));
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { paths } = stack;
  for (const folder of [`${paths.stack}/agent`, paths.agent, paths.secrets]) {
    mkdirSync(folder, { recursive: true });
  }
  const { port } = server.address() as AddressInfo;
  writeFileSync(`${paths.secrets}/HOOK_URL`, `http://127.0.0.1:${port}/hook`, { mode: 0o600 });
  const alerts = {
    service: 'prometheus',
    port: 9090,
    sender: { project: 'shop', domain: 'app.example.com', environment: 'production' },
    receivers: [
      { name: 'ops', channel: 'webhook', secret: 'HOOK_URL', severities: ['warn'] } as const,
    ],
  };
  writeFileSync(`${paths.stack}/agent/agent.json`, JSON.stringify({ version: 1, alerts }));
  await stack.setAgentMetrics(agentMetrics({ failures: 1 }));
  await stack.until('ALERTS{alertname="BackupFailed",alertstate="firing"}');
  const host = new LocalHost();
  let sent: Promise<unknown> = Promise.resolve();
  const watch = new AlertWatch({
    clock: systemClock,
    log: (line) => t.comment(line),
    folders: alertFolders(paths),
    ask: ({ port: asked }) => askPrometheus(stack.prometheusAddress, asked),
    startJob: ({ argv }) => {
      const server = { host, engine: new FakeEngine() };
      sent = runCommand(argv, commandTable, { server, more: { paths, now: () => new Date() } });
    },
    isRunning: () => false,
  });
  t.teardown(() => watch.stop());
  watch.set(alerts);
  const news = await waitFor('the message', async () => heard[0]);
  t.equal(news.event, 'alerts');
  const failed = news.firing?.find(({ name }) => name === 'BackupFailed');
  t.match(failed, {
    severity: 'warn',
    summary: 'The backup daily has failed.',
    runbook: 'backup-failed',
  });
  t.match(await sent, { exitCode: 0, stderr: '' });
  t.match(readFileSync(`${paths.agent}/alerts-told.json`, 'utf8'), /BackupFailed/);
});
