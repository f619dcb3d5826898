/** One of each metric that the agent writes, with times that are fresh. */
export function agentMetrics({ failures = 0, now = Date.now() / 1000 } = {}): string {
  const hour = now - 3600;
  const lines: readonly (readonly [string, number])[] = [
    ['holdfast_agent_start_timestamp_seconds', hour],
    ['holdfast_agent_resident_memory_bytes', 40e6],
    ['holdfast_backup_last_success_timestamp_seconds{job="daily"}', hour],
    ['holdfast_backup_last_verified_timestamp_seconds{job="daily"}', hour],
    ['holdfast_backup_last_size_bytes{job="daily"}', 5e6],
    ['holdfast_backup_store_unreachable{job="daily"}', 0],
    ['holdfast_backup_gone{job="daily"}', 0],
    ['holdfast_backup_stored_bytes{job="daily",store="local"}', 4e7],
    ['holdfast_backup_store_free_bytes{store="local"}', 6e10],
    ['holdfast_backup_store_size_bytes{store="local"}', 1e11],
    ['holdfast_backup_failures_total{job="daily"}', failures],
    ['holdfast_job_last_run_timestamp_seconds{job="backup-daily"}', hour],
    ['holdfast_job_last_duration_seconds{job="backup-daily"}', 12],
    ['holdfast_job_running{job="backup-daily"}', 0],
    ['holdfast_restore_test_last_success_timestamp_seconds{kind="dump"}', hour],
    ['holdfast_restore_test_duration_seconds{kind="dump"}', 21],
    ['holdfast_restore_test_lost_seconds', 6],
    ['holdfast_drill_last_success_timestamp_seconds', hour],
    ['holdfast_drill_duration_seconds', 70],
    ['holdfast_restore_test_damaged_bases', 0],
    ['holdfast_certificate_not_after_timestamp_seconds{name="app.example.com"}', now + 90 * 86_400],
    ['holdfast_probe_success{name="web"}', 1],
    ['holdfast_probe_duration_seconds{name="web"}', 0.02],
    ['holdfast_http_requests_total{host="app.example.com",service="web",code_class="2xx"}', 100],
    ['holdfast_http_requests_total{host="app.example.com",service="web",code_class="5xx"}', 1],
    ['holdfast_http_request_duration_seconds_bucket{service="web",le="0.1"}', 90],
    ['holdfast_http_request_duration_seconds_bucket{service="web",le="+Inf"}', 101],
    ['holdfast_edge_cache_requests_total{host="cdn.example.com",result="HIT"}', 9],
    ['holdfast_updates_pending', 0],
    ['holdfast_firewall_loaded', 1],
    ['holdfast_maintenance', 0],
  ];
  return lines.map(([name, value]) => `${name} ${value}\n`).join('');
}
