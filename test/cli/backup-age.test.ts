import t from 'tap';
import { ageProblems } from '../../installer/cli/backup-age.ts';
import type { AgentSettings } from '../../installer/model/agent-settings.ts';
import type { BackupJob, BackupSettings } from '../../installer/model/backup-settings.ts';

const NOW = new Date('2026-11-21T12:00:00Z');
const DAY = 86_400;
const HOUR = 3_600;
const FILES = { kind: 'volume', name: 'files', volume: 'v', service: 'web' } as const;
const POSTGRES = { kind: 'postgres', databases: [] } as const;
const PITR: BackupSettings['pitr'] = {
  ...{ job: 'base', store: 's', rpoSeconds: 60, windowSeconds: DAY, folder: '/wal', slot: 'x' },
};

interface Case {
  readonly hours: number;
  readonly more?: Partial<BackupJob>;
  readonly rpo?: number;
  readonly pitr?: BackupSettings['pitr'];
  readonly windowed?: boolean;
}

/** The problems of one job whose last good backup ended so many hours ago. */
function problems({ hours, more, rpo, pitr, windowed = false }: Case): string {
  const job: BackupJob = {
    ...{ name: 'files', source: FILES, cron: '0 2 * * *', store: 's', keepRemote: {}, ...more },
  };
  const objectives = rpo === undefined ? {} : { rpo };
  const lastSuccessAt = new Date(NOW.getTime() - hours * HOUR * 1000).toISOString();
  const scheduled = { id: 'backup-files', ...(windowed ? { window: { from: 60, to: 120 } } : {}) };
  return ageProblems(
    [{ job: job.name, lastSuccessAt }],
    { jobs: [job], objectives, ...(pitr === undefined ? {} : { pitr }) },
    { jobs: [scheduled] as unknown as AgentSettings['jobs'] },
    NOW,
  ).join('\n');
}

t.test('older than twice the longest pause of its schedule', async (t) => {
  t.equal(problems({ hours: 48 }), '');
  t.equal(
    problems({ hours: 49 }),
    'the last good backup of job files is 2 days 1 h old, and one is due every 24 h 0 min: holdfast backup run files',
  );
  t.match(problems({ hours: 2.1, more: { cron: '0 * * * *' } }), /one is due every 60 min/);
  t.equal(problems({ hours: 23, more: { cron: '0 * * * *' }, windowed: true }), '');
  t.equal(problems({ hours: 49, more: { cron: '0 2 * * 0' } }), '', 'weekly');
});

t.test('older than what was promised', async (t) => {
  t.match(problems({ hours: 7, rpo: 6 * HOUR }), /objectives\.rpo is 6 h 0 min/);
  t.equal(problems({ hours: 5, rpo: 6 * HOUR }), '');
  t.equal(problems({ hours: 24.5, rpo: DAY }), '', 'while the next one runs');
  t.match(problems({ hours: 26, rpo: DAY }), /objectives\.rpo/);
});

t.test('a promise that other means keep', async (t) => {
  const rpo = HOUR;
  t.equal(problems({ hours: 20, rpo, pitr: PITR, more: { source: POSTGRES } }), '', 'WAL');
  t.match(problems({ hours: 20, rpo, pitr: PITR }), /rpo/, 'there is no WAL of files');
  t.match(problems({ hours: 20, rpo, more: { source: POSTGRES } }), /rpo/);
  t.equal(problems({ hours: 20, rpo, more: { source: { kind: 'appliance' } } }), '');
  t.equal(problems({ hours: 20, rpo, more: { source: { kind: 'backup', name: 'daily' } } }), '');
});

t.test('a job without a good backup has a problem of its own', async (t) => {
  const job: BackupJob = {
    ...{ name: 'files', source: FILES, cron: '0 2 * * *', store: 's', keepRemote: {} },
  };
  t.strictSame(
    ageProblems([{ job: 'files' }], { jobs: [job], objectives: {} }, { jobs: [] }, NOW),
    [],
  );
});
