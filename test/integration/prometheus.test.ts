import t from 'tap';
import { agentMetrics } from '../support/agent-metrics.ts';
import { docker, logsOf, waitFor } from '../support/containers.ts';
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
