import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { backupMetrics } from '../../agent/metrics/backup-metrics.ts';
import { metricsText } from '../../agent/metrics/text-format.ts';
import { lostAt } from '../../installer/backup/restore/prove-point-in-time.ts';
import { lossText } from '../../installer/cli/proof-text.ts';
import { proofProblems, provenRestores } from '../../installer/cli/restore-proof.ts';
import { goneProblems } from '../../installer/cli/status-report.ts';
import type { PointInTimeProof, RestoreTestResult } from '../../installer/model/backup-result.ts';

const AT = '2026-11-29T06:00:00.000Z';
const POINT: PointInTimeProof = {
  base: '20261129T010000Z-3f9a1c',
  damagedBases: [],
  finishedAt: AT,
  seconds: 240,
  lostSeconds: 12,
  databases: 2,
  tables: 3,
  rows: 40,
  limits: '1 processor',
};
const RESULT: RestoreTestResult = {
  version: 1,
  lastRun: { startedAt: AT, finishedAt: AT, ok: true },
  lastSuccess: {
    backupId: '20261129T020000Z-3f9a1c',
    job: 'daily',
    finishedAt: AT,
    seconds: 21,
    databases: 1,
    tables: 3,
    rows: 39,
  },
  pointInTime: POINT,
};

t.test('what was lost is counted from the newest heartbeat that came back', async (t) => {
  const newestReadAt = new Date('2026-11-29T06:00:30Z');
  const at = (seconds: number) => new Date(newestReadAt.getTime() - seconds * 1000);
  const from = (seconds: number, goneOn = true) => ({
    firstAt: at(seconds),
    haveGoneOn: () => goneOn,
  });
  t.strictSame(lostAt({ newestReadAt }, from(30), at(4)), { lostSeconds: 4 });
  t.strictSame(lostAt({ newestReadAt }, from(30), at(30)), { lostSeconds: 30 });
  t.strictSame(
    lostAt({ newestReadAt }, from(30), at(604_800)),
    { lostSeconds: 30, lostMore: true },
    'one of last week tells nothing of today but that none of today is there',
  );
  t.strictSame(lostAt({ newestReadAt }, from(30), undefined), { lostSeconds: 30, lostMore: true });
  t.strictSame(lostAt({ newestReadAt }, undefined, at(4)), {}, 'the live server took none');
  t.strictSame(
    lostAt({ newestReadAt }, from(30, false), at(20)),
    {},
    'a restart of the live server ended them: nothing is lost for that',
  );
  t.equal(lossText({ lostSeconds: 12 }), '12 s would have been lost');
  t.equal(lossText({ lostSeconds: 61, lostMore: true }), 'more than 61 s would have been lost');
  t.equal(lossText({}), 'what would have been lost was not measured');
});

t.test('status compares what was measured with what was promised', async (t) => {
  t.strictSame(
    proofProblems(undefined, { objectives: { rto: 1, rpo: 1 } }),
    [],
    'nothing was measured yet',
  );
  t.strictSame(proofProblems(RESULT, { objectives: { rto: 240, rpo: 12 } }), []);
  t.match(proofProblems(RESULT, { objectives: { rto: 239, rpo: 11 } }), [
    /^coming back took .*, and objectives\.rto is /,
    /^12 s would have been lost, and objectives\.rpo is 11 s$/,
  ]);
  const pitr = { job: 'base', store: 'main', windowSeconds: 1, folder: '/wal', slot: 's' };
  const lost = (lostSeconds: number, objectives = {}) =>
    proofProblems(
      { ...RESULT, pointInTime: { ...POINT, lostSeconds } },
      { objectives, pitr: { ...pitr, rpoSeconds: 60 } },
    );
  t.strictSame(lost(119), [], 'the server was busy with the test');
  t.match(lost(121), [/would have been lost, and postgres\.pitr\.rpo is 60 s$/]);
  t.strictSame(lost(121, { rpo: 200 }), [], 'a promise goes before it');
  const damaged = { ...RESULT, pointInTime: { ...POINT, damagedBases: ['B'] } };
  t.match(proofProblems(damaged, { objectives: {} }), [/^the base backup B is damaged/]);
  const failed = { ...RESULT, lastRun: { ...RESULT.lastRun, ok: false, what: 'it is gone' } };
  t.match(proofProblems(failed, { objectives: {} }), [
    /^the last restore test failed: it is gone$/,
  ]);
  t.match(provenRestores(failed), {
    restoreTest: { ok: false, rows: 39 },
    pointInTime: { rows: 40 },
  });
  const { lastSuccess: _, ...only } = RESULT;
  t.match(provenRestores(only), { restoreTest: { ok: true, rows: 40, seconds: 240 } });
});

t.test('the metrics tell the two kinds apart', async (t) => {
  const folder = t.testdir();
  const text = () => metricsText(backupMetrics(folder, []));
  t.notMatch(text(), /restore_test.* \d/);
  mkdirSync(join(folder, 'results'));
  writeFileSync(join(folder, 'results/restore-test.json'), JSON.stringify(RESULT));
  t.match(text(), /^holdfast_restore_test_duration_seconds\{kind="dump"\} 21$/m);
  t.match(text(), /^holdfast_restore_test_duration_seconds\{kind="point-in-time"\} 240$/m);
  t.match(text(), /^holdfast_restore_test_lost_seconds 12$/m);
  t.match(text(), /^holdfast_restore_test_damaged_bases 0$/m);
});

t.test(
  'the metrics tell of a store that cannot be used, and of keys that were proved',
  async (t) => {
    const folder = t.testdir({ results: {} });
    const text = () => metricsText(backupMetrics(folder, ['daily', 'weekly', 'never']));
    t.notMatch(text(), /unreachable\{|recovery_key.* \d/, 'nothing is known yet');
    const ended = (job: string, lastRun: object) =>
      writeFileSync(
        join(folder, `results/${job}.json`),
        JSON.stringify({ version: 1, job, lastRun }),
      );
    ended('daily', { ok: false, code: 'store/timeout' });
    ended('weekly', { ok: false, code: 'store/missing' });
    t.match(text(), /^holdfast_backup_store_unreachable\{job="daily"\} 1$/m);
    t.match(text(), /^holdfast_backup_store_unreachable\{job="weekly"\} 0$/m, 'it answers');
    t.notMatch(text(), /unreachable\{job="never"/);
    ended('daily', { ok: true });
    t.match(text(), /^holdfast_backup_store_unreachable\{job="daily"\} 0$/m);
    const record = { version: 1, provenAt: { age1abc: '1970-01-01T00:01:00Z' } };
    writeFileSync(join(folder, 'recovery-keys.json'), JSON.stringify(record));
    t.match(text(), /^holdfast_recovery_key_proven_timestamp_seconds\{recipient="age1abc"\} 60$/m);
  },
);

t.test('the metrics and status tell of backups that are gone, for a week', async (t) => {
  const folder = t.testdir({ stored: {} });
  const now = new Date('2026-11-29T06:00:00Z');
  const text = () => metricsText(backupMetrics(folder, ['daily', 'weekly', 'never'], now));
  const known = (job: string, gone: object[]) =>
    writeFileSync(join(folder, `stored/${job}.json`), JSON.stringify({ version: 1, gone }));
  known('daily', [
    { id: 'A', noticedAt: '2026-11-22T05:59:59Z' },
    { id: 'B', noticedAt: '2026-11-22T06:00:01Z' },
    { id: 'C', noticedAt: '2026-11-29T05:00:00Z' },
  ]);
  known('weekly', []);
  t.match(text(), /^holdfast_backup_gone\{job="daily"\} 2$/m);
  t.match(text(), /^holdfast_backup_gone\{job="weekly"\} 0$/m);
  t.notMatch(text(), /gone\{job="never"/, 'nothing is known yet');
  t.match(goneProblems({ job: 'daily', ok: true, gone: ['B', 'C'] }), [
    /^somebody else removed B, C of job daily: holdfast backup list/,
  ]);
  t.strictSame(goneProblems({ job: 'daily', ok: true }), []);
});

t.test('the metrics tell how full a folder is, by the last job that wrote there', async (t) => {
  const folder = t.testdir({ results: {} });
  const text = () => metricsText(backupMetrics(folder, ['daily', 'weekly', 'far']));
  t.notMatch(text(), /store_free_bytes\{/, 'nothing is known yet');
  const ended = (job: string, finishedAt: string, store: object) =>
    writeFileSync(
      join(folder, `results/${job}.json`),
      JSON.stringify({ version: 1, job, lastRun: { ok: true, finishedAt }, store }),
    );
  const disk = (freeBytes: number) => ({ freeBytes, bytes: 100 });
  ended('daily', '2026-11-29T02:00:00Z', { name: 'local', storedBytes: 7, disk: disk(20) });
  ended('weekly', '2026-11-28T02:00:00Z', { name: 'local', disk: disk(40) });
  ended('far', '2026-11-29T03:00:00Z', { name: 'bucket', storedBytes: 5 });
  t.match(text(), /^holdfast_backup_store_free_bytes\{store="local"\} 20$/m);
  t.match(text(), /^holdfast_backup_store_size_bytes\{store="local"\} 100$/m);
  t.match(text(), /^holdfast_backup_stored_bytes\{job="daily",store="local"\} 7$/m);
  t.match(text(), /^holdfast_backup_stored_bytes\{job="far",store="bucket"\} 5$/m);
  t.notMatch(text(), /stored_bytes\{job="weekly"|free_bytes\{store="bucket"/, 'not known');
});
