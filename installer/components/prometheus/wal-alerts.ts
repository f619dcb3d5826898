import type { PitrSettings } from '../../model/backup-settings.ts';
import { formatDuration } from '../../model/units.ts';
import type { Draft } from './draft.ts';
import { metricExpression } from './metric-words.ts';

/** The agent looks every two seconds and writes its metrics every fifteen. */
const SLACK_SECONDS = 60;
const GAP_SHOWN_SECONDS = 3_600;

/** Point-in-time recovery: that the WAL comes in, that it gets away, and that it leads somewhere. */
export function walAlerts({ rpoSeconds, slot }: PitrSettings): Draft[] {
  const active = `pg_replication_slot_slot_is_active{slot_name="${slot}"}`;
  return [
    {
      name: 'WalTooOld',
      expression: `${metricExpression('wal_age_seconds')} > ${rpoSeconds + SLACK_SECONDS}`,
      for: '1m',
      severity: 'page',
      summary: `WAL waits for the store: more than ${formatDuration(rpoSeconds)} would be lost with this server.`,
      runbook: 'wal-too-old',
    },
    {
      name: 'WalReceiverDown',
      expression: `${active} == 0 or (absent(${active}) and on () pg_up == 1)`,
      severity: 'page',
      summary: 'Nobody takes the WAL of Postgres: a loss of this server loses all since.',
      runbook: 'wal-receiver-down',
    },
    {
      name: 'WalGap',
      expression: `time() - holdfast_wal_last_gap_timestamp_seconds < ${GAP_SHOWN_SECONDS}`,
      for: '0s',
      severity: 'warn',
      summary: 'WAL was lost: no point in time can be reached across the gap.',
      runbook: 'wal-gap',
    },
    {
      name: 'WalWithoutBase',
      expression: 'holdfast_wal_base_needed == 1',
      for: '1h',
      severity: 'page',
      summary: 'There is no base backup that the WAL of now could roll forward.',
      runbook: 'wal-gap',
    },
  ];
}
