import { AppError } from '../../errors.ts';
import type { Postgres } from '../rules/resolved.ts';
import { confValue, needsRestart, settingProblem, sharedBuffersBytes } from './settings.ts';
import { type Tuning, tune } from './tuning.ts';

/** Settings that hold on every machine. */
const FIXED: Readonly<Record<string, string>> = {
  listen_addresses: '*',
  unix_socket_directories: '/var/run/postgresql',
  password_encryption: 'scram-sha-256',
  // The networks between containers do not leave the machine.
  ssl: 'off',
  // Standbys and WAL receivers; a slot whose reader is gone must not fill the disk.
  wal_level: 'replica',
  max_slot_wal_keep_size: '2GB',
  // A client that vanished frees its connection after two minutes, not two hours.
  tcp_keepalives_idle: '60',
  tcp_keepalives_interval: '20',
  tcp_keepalives_count: '3',
  log_destination: 'stderr',
  logging_collector: 'off',
  log_line_prefix: '%m [%p] user=%u db=%d app=%a ',
  log_timezone: 'UTC',
  log_min_duration_statement: '100ms',
  // Parameters of statements are the users' data.
  log_parameter_max_length: '0',
  log_lock_waits: 'on',
  log_temp_files: '10MB',
  log_autovacuum_min_duration: '10s',
  timezone: 'UTC',
  track_io_timing: 'on',
  shared_preload_libraries: 'pg_stat_statements',
  // Statements such as ALTER ROLE are never kept: they could hold a password.
  'pg_stat_statements.track_utility': 'off',
};

export interface SettingLine {
  readonly name: string;
  /** Quoted. */
  readonly value: string;
}

export interface ServerSettings {
  /** A change of one of these restarts the server. */
  readonly restart: readonly SettingLine[];
  /** A change of one of these is taken up by a reload. */
  readonly reload: readonly SettingLine[];
  readonly tuning: Tuning;
}

/**
 * Every line of the server's configuration: fixed, tuned to the machine, and the user's, which win.
 * @throws AppError `config/postgres-setting`
 */
export function serverSettings(
  postgres: Pick<Postgres, 'settings' | 'maxConnections'>,
  machine: { readonly memoryBytes: number; readonly cores: number },
): ServerSettings {
  for (const [name, value] of Object.entries(postgres.settings)) refuseUnsafe(name, value);
  const wish = postgres.settings['shared_buffers'];
  const sharedBuffers = wish === undefined ? undefined : sharedBuffersBytes(wish);
  const tuning = tune({
    ...machine,
    maxConnections: postgres.maxConnections,
    ...(sharedBuffers !== undefined && { sharedBuffers }),
  });
  const merged: Record<string, string> = { ...FIXED, ...tuning.settings, ...postgres.settings };
  merged['shared_preload_libraries'] = withStatistics(merged['shared_preload_libraries'] ?? '');
  const lines = Object.keys(merged)
    .sort()
    .map((name) => ({ name, value: confValue(merged[name] ?? '') }));
  return {
    restart: lines.filter(({ name }) => needsRestart(name)),
    reload: lines.filter(({ name }) => !needsRestart(name)),
    tuning,
  };
}

function refuseUnsafe(name: string, value: string): void {
  const problem = settingProblem(name, value);
  if (problem === undefined) return;
  throw new AppError({
    code: 'config/postgres-setting',
    what: `postgres.settings.${name} cannot be set to ${value}`,
    why: problem,
    hint: `Take ${name} out of postgres.settings in config.yaml.`,
  });
}

function withStatistics(libraries: string): string {
  const names = libraries.split(',').map((name) => name.trim());
  const others = names.filter((name) => name !== '' && name !== 'pg_stat_statements');
  return ['pg_stat_statements', ...others].join(',');
}
