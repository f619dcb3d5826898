/** What may stand under `postgres.settings`, and which change of a setting needs a restart. */

const OURS = 'holdfast decides where files, sockets and logs of the server are';
const BACKUPS = 'backups and point-in-time recovery rest on it';
const LOSES_DATA = 'a crash could destroy the database';

/** Why a setting is refused, whatever its value. */
const REFUSED: Readonly<Record<string, string>> = {
  config_file: OURS,
  data_directory: OURS,
  external_pid_file: OURS,
  hba_file: OURS,
  ident_file: OURS,
  include: OURS,
  include_dir: OURS,
  include_if_exists: OURS,
  listen_addresses: OURS,
  port: OURS,
  unix_socket_directories: OURS,
  unix_socket_group: OURS,
  unix_socket_permissions: OURS,
  log_destination: OURS,
  logging_collector: OURS,
  event_source: OURS,
  syslog_facility: OURS,
  max_connections: 'write postgres.maxConnections instead',
  ssl: 'write postgres.ssl instead',
  ssl_cert_file: 'write postgres.ssl instead',
  ssl_key_file: 'write postgres.ssl instead',
  ssl_ca_file: 'write postgres.ssl instead',
  password_encryption: 'passwords are stored as SCRAM-SHA-256',
  archive_mode: BACKUPS,
  archive_command: BACKUPS,
  archive_library: BACKUPS,
  archive_cleanup_command: BACKUPS,
  restore_command: BACKUPS,
  recovery_end_command: BACKUPS,
  primary_conninfo: BACKUPS,
  zero_damaged_pages: LOSES_DATA,
  ignore_checksum_failure: LOSES_DATA,
  ignore_invalid_pages: LOSES_DATA,
  ignore_system_indexes: LOSES_DATA,
  allow_system_table_mods: LOSES_DATA,
  data_sync_retry: LOSES_DATA,
  standard_conforming_strings: 'texts in SQL would be read differently',
};

/** Why a value is refused, for settings that may otherwise be set. */
const REFUSED_VALUES: Readonly<
  Record<string, { readonly isRefused: (value: string) => boolean; readonly why: string }>
> = {
  fsync: { isRefused: isOff, why: LOSES_DATA },
  full_page_writes: { isRefused: isOff, why: LOSES_DATA },
  wal_level: { isRefused: (value) => value.toLowerCase() === 'minimal', why: BACKUPS },
  max_wal_senders: { isRefused: (value) => Number(value) < 2, why: BACKUPS },
};

/** As the server reads booleans: any unambiguous beginning of `off`, `false` or `no`, or 0. */
function isOff(value: string): boolean {
  return /^(?:of|off|f|fa|fal|fals|false|n|no|0)$/i.test(value.trim());
}

/** Why the setting cannot be accepted; undefined when it can. */
export function settingProblem(name: string, value: string): string | undefined {
  const refused = REFUSED[name];
  if (refused !== undefined) return refused;
  const byValue = REFUSED_VALUES[name];
  return byValue?.isRefused(value) ? byValue.why : undefined;
}

/** A value as postgresql.conf has it: always quoted, so that it is inert. One line, as the config demands. */
export function confValue(value: string): string {
  if (/[\r\n\0]/.test(value)) throw new Error('a setting of Postgres is one line');
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
};
/** shared_buffers without a unit counts blocks. */
const BLOCK = 8192;

/** Bytes of a value of shared_buffers; undefined when the server would not understand it either. */
export function sharedBuffersBytes(value: string): number | undefined {
  const [, digits, unit] = /^\s*(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|TB)?\s*$/.exec(value) ?? [];
  if (digits === undefined) return undefined;
  return Math.round(Number(digits) * (unit === undefined ? BLOCK : (UNITS[unit] ?? 1)));
}

/**
 * Settings of context `postmaster` in PostgreSQL 15 to 17 (view pg_settings) that a config may touch.
 * An integration test compares this with the running server. Settings of extensions count as well.
 */
const NEEDS_RESTART = new Set([
  'autovacuum_freeze_max_age',
  'autovacuum_max_workers',
  'autovacuum_multixact_freeze_max_age',
  'bonjour',
  'bonjour_name',
  'cluster_name',
  'commit_timestamp_buffers',
  'debug_io_direct',
  'dynamic_shared_memory_type',
  'hot_standby',
  'huge_page_size',
  'huge_pages',
  'jit_provider',
  'max_files_per_process',
  'max_locks_per_transaction',
  'max_logical_replication_workers',
  'max_notify_queue_pages',
  'max_pred_locks_per_transaction',
  'max_prepared_transactions',
  'max_replication_slots',
  'max_wal_senders',
  'max_worker_processes',
  'min_dynamic_shared_memory',
  'multixact_member_buffers',
  'multixact_offset_buffers',
  'notify_buffers',
  'old_snapshot_threshold',
  'recovery_target',
  'recovery_target_action',
  'recovery_target_inclusive',
  'recovery_target_lsn',
  'recovery_target_name',
  'recovery_target_time',
  'recovery_target_timeline',
  'recovery_target_xid',
  'reserved_connections',
  'serializable_buffers',
  'shared_buffers',
  'shared_memory_type',
  'shared_preload_libraries',
  'subtransaction_buffers',
  'superuser_reserved_connections',
  'trace_connection_negotiation',
  'track_activity_query_size',
  'track_commit_timestamp',
  'transaction_buffers',
  'wal_buffers',
  'wal_decode_buffer_size',
  'wal_level',
  'wal_log_hints',
]);

/** Whether a change takes effect only after a restart of the server. */
export function needsRestart(name: string): boolean {
  return NEEDS_RESTART.has(name) || REFUSED[name] !== undefined || name.includes('.');
}
