import { type PostgresServer, queryJson, runSql } from '../psql.ts';
import { literal } from '../restore/sql-text.ts';

export interface WalSource {
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** UTC, ISO 8601; the clock of the times of commits. */
  readonly startedAt: string;
  readonly segmentBytes: number;
  /** Undefined: there is none. */
  readonly slot?: {
    readonly active: boolean;
    /** `lost`: WAL that the receiver had not taken is gone. */
    readonly walStatus: string | null;
  };
}

/** The server as somebody sees it who takes its WAL. @throws AppError `backup/postgres-down`, `backup/sql` */
export async function walSource(server: PostgresServer, slot: string): Promise<WalSource> {
  const found = await queryJson<WalSource & { readonly slot: WalSource['slot'] | null }>(
    server,
    'postgres',
    `SELECT json_build_object(
       'systemIdentifier', (SELECT system_identifier::text FROM pg_control_system()),
       'timeline', (SELECT timeline_id FROM pg_control_checkpoint()),
       'startedAt', to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       'segmentBytes', (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size'),
       'slot', (SELECT json_build_object('active', active, 'walStatus', wal_status)
                FROM pg_replication_slots WHERE slot_name = ${literal(slot)}));`,
  );
  const { slot: state, ...rest } = found;
  return state === null || state === undefined ? rest : { ...rest, slot: state };
}

/** A slot that holds WAL back from now on; what an unusable one of that name held is gone anyway. */
export async function makeSlot(server: PostgresServer, slot: string): Promise<void> {
  const name = literal(slot);
  await runSql(
    server,
    'postgres',
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
       WHERE slot_name = ${name} AND NOT active AND wal_status = 'lost';
     SELECT pg_create_physical_replication_slot(${name}, true)
       WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = ${name});`,
  );
}

/** Whether the receiver can go on from it. */
export function isUsable(slot: WalSource['slot']): boolean {
  return slot !== undefined && slot.walStatus !== 'lost';
}
