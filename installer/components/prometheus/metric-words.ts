/** File systems that people fill: writable, and not the tiny ones of the firmware. */
const DISKS = '(node_filesystem_readonly == 0)';

/** Percent of what can be used, as `df` counts it. */
const DISK_PERCENT = `100 * (node_filesystem_size_bytes - node_filesystem_free_bytes) / (node_filesystem_size_bytes - node_filesystem_free_bytes + node_filesystem_avail_bytes) unless on (device, mountpoint) node_filesystem_readonly == 1`;

const WORDS: Readonly<Record<string, string>> = {
  node_cpu_percent:
    '100 * (1 - avg(sum by (cpu) (rate(node_cpu_seconds_total{mode=~"idle|iowait"}[5m]))))',
  node_memory_percent: '100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)',
  node_disk_percent: DISK_PERCENT,
  node_disk_free_bytes: `node_filesystem_avail_bytes and on (device, mountpoint) ${DISKS}`,
  http_error_ratio:
    'sum by (service) (rate(holdfast_http_requests_total{code_class="5xx"}[5m])) / sum by (service) (rate(holdfast_http_requests_total[5m]))',
  http_p95_seconds:
    'histogram_quantile(0.95, sum by (service, le) (rate(holdfast_http_request_duration_seconds_bucket[5m])))',
  upstream_unhealthy: 'count(holdfast_replica_healthy == 0) or vector(0)',
  pg_connections_ratio: 'sum(pg_stat_database_numbackends) / max(pg_settings_max_connections)',
  pg_replication_lag_seconds: 'pg_replication_lag_seconds',
  redis_memory_ratio: 'redis_memory_used_bytes / (redis_memory_max_bytes > 0)',
  probe_success: 'holdfast_probe_success',
  certificate_days_left: '(holdfast_certificate_not_after_timestamp_seconds - time()) / 86400',
  backup_age_seconds: 'time() - holdfast_backup_last_success_timestamp_seconds',
  wal_age_seconds: 'time() - holdfast_wal_last_archived_timestamp_seconds',
  restore_test_seconds: 'holdfast_restore_test_duration_seconds',
};

/** PromQL for a metric word of `monitoring.rules`; a word that is none is a metric's own name. */
export function metricExpression(word: string): string {
  return WORDS[word] ?? word;
}
