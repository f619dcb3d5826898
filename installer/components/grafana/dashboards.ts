import { metricExpression } from '../prometheus/metric-words.ts';
import type { Config } from '../sections.ts';

export interface Query {
  readonly expression: string;
  /** Grafana's `{{label}}` form; the title of the panel when absent. */
  readonly legend?: string;
}

export interface Panel {
  readonly title: string;
  readonly kind: 'timeseries' | 'stat';
  /** Grafana's name of a unit. */
  readonly unit: string;
  readonly queries: readonly Query[];
}

export interface DashboardSource {
  readonly id: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** The dashboards for the parts that a config has. */
export function dashboardsOf(config: Config): DashboardSource[] {
  return [
    OVERVIEW,
    HOST,
    ...(config.postgres === undefined ? [] : [POSTGRES]),
    ...(config.redis === undefined ? [] : [REDIS]),
    NGINX,
    ...(config.edgeCache.length === 0 ? [] : [EDGE_CACHE]),
    BACKUPS,
  ];
}

const graph = (title: string, unit: string, ...queries: readonly (string | Query)[]): Panel => ({
  title,
  kind: 'timeseries',
  unit,
  queries: queries.map(asQuery),
});
const figure = (title: string, unit: string, query: string | Query): Panel => ({
  title,
  kind: 'stat',
  unit,
  queries: [asQuery(query)],
});
const by = (legend: string, expression: string): Query => ({ expression, legend });

function asQuery(query: string | Query): Query {
  return typeof query === 'string' ? { expression: query } : query;
}

const REQUESTS = 'sum by (service) (rate(holdfast_http_requests_total[5m]))';

const OVERVIEW: DashboardSource = {
  id: 'overview',
  title: 'Overview',
  panels: [
    figure('Alerts', 'none', 'count(ALERTS{alertstate="firing"}) or vector(0)'),
    figure('Targets without metrics', 'none', 'count(up == 0) or vector(0)'),
    figure('Oldest backup', 's', `max(${metricExpression('backup_age_seconds')})`),
    figure(
      'Days left of a certificate',
      'none',
      `min(${metricExpression('certificate_days_left')})`,
    ),
    figure('Updates', 'none', 'holdfast_updates_pending'),
    figure('Memory of the agent', 'bytes', 'holdfast_agent_resident_memory_bytes'),
    graph('Requests', 'reqps', by('{{service}}', REQUESTS)),
    graph('Errors', 'percentunit', by('{{service}}', metricExpression('http_error_ratio'))),
    graph('95 % are faster than', 's', by('{{service}}', metricExpression('http_p95_seconds'))),
    graph('Probes', 'bool', by('{{name}}', 'holdfast_probe_success')),
    graph('Processor', 'percent', metricExpression('node_cpu_percent')),
    graph('Memory', 'percent', metricExpression('node_memory_percent')),
    graph('Disks', 'percent', by('{{mountpoint}}', metricExpression('node_disk_percent'))),
  ],
};

const HOST: DashboardSource = {
  id: 'host',
  title: 'Host',
  panels: [
    graph(
      'Processor',
      'percentunit',
      by(
        '{{mode}}',
        'sum by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[5m])) / on () group_left count(node_cpu_seconds_total{mode="idle"})',
      ),
    ),
    graph('Load', 'short', by('1 minute', 'node_load1'), by('15 minutes', 'node_load15')),
    graph(
      'Memory',
      'bytes',
      by('in use', 'node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes'),
      by('total', 'node_memory_MemTotal_bytes'),
    ),
    graph(
      'Swapping',
      'ops',
      by('in', 'rate(node_vmstat_pswpin[5m])'),
      by('out', 'rate(node_vmstat_pswpout[5m])'),
    ),
    graph('Disks', 'percent', by('{{mountpoint}}', metricExpression('node_disk_percent'))),
    graph('Free', 'bytes', by('{{mountpoint}}', metricExpression('node_disk_free_bytes'))),
    graph(
      'Reading and writing',
      'Bps',
      by('{{device}} read', 'rate(node_disk_read_bytes_total[5m])'),
      by('{{device}} written', 'rate(node_disk_written_bytes_total[5m])'),
    ),
    graph('Open files', 'short', 'node_filefd_allocated'),
  ],
};

const POSTGRES: DashboardSource = {
  id: 'postgres',
  title: 'Postgres',
  panels: [
    figure('Answers', 'bool', 'pg_up'),
    figure('Connections taken', 'percentunit', metricExpression('pg_connections_ratio')),
    graph('Connections', 'short', by('{{datname}}', 'pg_stat_database_numbackends{datname!=""}')),
    graph(
      'Transactions',
      'ops',
      by('{{datname}}', 'rate(pg_stat_database_xact_commit{datname!=""}[5m])'),
    ),
    graph(
      'Rolled back',
      'ops',
      by('{{datname}}', 'rate(pg_stat_database_xact_rollback{datname!=""}[5m])'),
    ),
    graph(
      'Found in memory',
      'percentunit',
      by(
        '{{datname}}',
        'pg_stat_database_blks_hit{datname!=""} / (pg_stat_database_blks_hit{datname!=""} + pg_stat_database_blks_read{datname!=""})',
      ),
    ),
    graph('Size', 'bytes', by('{{datname}}', 'pg_database_size_bytes')),
    graph('Locks', 'short', by('{{mode}}', 'sum by (mode) (pg_locks_count)')),
    graph(
      'Deadlocks',
      'ops',
      by('{{datname}}', 'rate(pg_stat_database_deadlocks{datname!=""}[5m])'),
    ),
    graph(
      'Files written for sorting',
      'Bps',
      by('{{datname}}', 'rate(pg_stat_database_temp_bytes{datname!=""}[5m])'),
    ),
    graph('Write-ahead log', 'bytes', 'pg_wal_size_bytes'),
  ],
};

const REDIS: DashboardSource = {
  id: 'redis',
  title: 'Redis',
  panels: [
    figure('Answers', 'bool', 'redis_up'),
    figure('Memory taken', 'percentunit', metricExpression('redis_memory_ratio')),
    graph(
      'Memory',
      'bytes',
      by('used', 'redis_memory_used_bytes'),
      by('limit', 'redis_memory_max_bytes'),
    ),
    graph('Clients', 'short', 'redis_connected_clients'),
    graph('Commands', 'ops', 'rate(redis_commands_processed_total[5m])'),
    graph(
      'Found',
      'percentunit',
      'rate(redis_keyspace_hits_total[5m]) / (rate(redis_keyspace_hits_total[5m]) + rate(redis_keyspace_misses_total[5m]))',
    ),
    graph(
      'Keys dropped',
      'ops',
      by('expired', 'rate(redis_expired_keys_total[5m])'),
      by('for want of memory', 'rate(redis_evicted_keys_total[5m])'),
    ),
    graph('Connections refused', 'ops', 'rate(redis_rejected_connections_total[5m])'),
  ],
};

const CACHED = 'sum by (host) (rate(holdfast_edge_cache_requests_total[5m]))';

const EDGE_CACHE: DashboardSource = {
  id: 'edge-cache',
  title: 'Edge cache',
  panels: [
    graph(
      'Answers out of the cache',
      'percentunit',
      by(
        '{{host}}',
        `sum by (host) (rate(holdfast_edge_cache_requests_total{result=~"HIT|STALE|UPDATING|REVALIDATED"}[5m])) / ${CACHED}`,
      ),
    ),
    graph('Requests', 'reqps', by('{{host}}', CACHED)),
    graph(
      'What the cache did',
      'reqps',
      by('{{result}}', 'sum by (result) (rate(holdfast_edge_cache_requests_total[5m]))'),
    ),
  ],
};

const NGINX: DashboardSource = {
  id: 'nginx',
  title: 'nginx',
  panels: [
    graph('Requests', 'reqps', by('{{service}}', REQUESTS)),
    graph(
      'Answers',
      'reqps',
      by('{{code_class}}', 'sum by (code_class) (rate(holdfast_http_requests_total[5m]))'),
    ),
    graph('Errors', 'percentunit', by('{{service}}', metricExpression('http_error_ratio'))),
    graph('95 % are faster than', 's', by('{{service}}', metricExpression('http_p95_seconds'))),
    graph(
      'Connections',
      'short',
      by('active', 'nginx_connections_active'),
      by('waiting', 'nginx_connections_waiting'),
      by('writing', 'nginx_connections_writing'),
    ),
    graph(
      'New connections',
      'ops',
      by('accepted', 'rate(nginx_connections_accepted[5m])'),
      by('handled', 'rate(nginx_connections_handled[5m])'),
    ),
    graph('Probes', 's', by('{{name}}', 'holdfast_probe_duration_seconds')),
  ],
};

const BACKUPS: DashboardSource = {
  id: 'backups',
  title: 'Backups',
  panels: [
    graph('Age', 's', by('{{job}}', metricExpression('backup_age_seconds'))),
    graph(
      'Age of what was read back',
      's',
      by('{{job}}', 'time() - holdfast_backup_last_verified_timestamp_seconds'),
    ),
    graph('Size', 'bytes', by('{{job}}', 'holdfast_backup_last_size_bytes')),
    graph(
      'Failures in a day',
      'none',
      by('{{job}}', 'increase(holdfast_backup_failures_total[1d])'),
    ),
    graph('A restore took', 's', by('{{kind}}', metricExpression('restore_test_seconds'))),
    graph(
      'A restore was proved before',
      's',
      by('{{kind}}', 'time() - holdfast_restore_test_last_success_timestamp_seconds'),
    ),
    figure('A drill took', 's', 'holdfast_drill_duration_seconds'),
    graph('Would have been lost', 's', by('point in time', 'holdfast_restore_test_lost_seconds')),
    graph('Jobs took', 's', by('{{job}}', 'holdfast_job_last_duration_seconds')),
    graph('Jobs at work', 'bool', by('{{job}}', 'holdfast_job_running')),
    graph(
      'Jobs ran before',
      's',
      by('{{job}}', 'time() - holdfast_job_last_run_timestamp_seconds'),
    ),
  ],
};
