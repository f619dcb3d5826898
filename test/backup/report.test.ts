import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { verifyReports } from '../../installer/backup/report/chain.ts';
import { plot } from '../../installer/backup/report/plot.ts';
import { monthBefore, noteProof, readProofs } from '../../installer/backup/report/proof-log.ts';
import { writeReport } from '../../installer/backup/report/write-report.ts';
import { recordBackup, recordDrill, recordRestoreTest } from '../../installer/backup/results.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type { BackupSettings } from '../../installer/model/backup-settings.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

const host = new LocalHost();
const settings = { project: 'acme', objectives: { rto: 300, rpo: 60 } } as BackupSettings;

function server(t: Tap): {
  readonly paths: ReturnType<typeof pathsUnder>;
  readonly at: (time: string) => Parameters<typeof writeReport>[0];
} {
  const paths = pathsUnder(t.testdir());
  return { paths, at: (time) => ({ host, paths, settings, now: () => new Date(time) }) };
}
type Tap = { testdir: () => string };

const run = (finishedAt: string, ok = true) => ({
  startedAt: finishedAt,
  finishedAt,
  ok,
  ...(ok ? {} : { what: 'it is <gone> & "away"' }),
});

t.test('what backups, restore tests and drills record becomes the page of the month', async (t) => {
  const { paths, at } = server(t);
  const october = '2026-10-20T06:00:00.000Z';
  const november = '2026-11-20T06:00:00.000Z';
  const base = { base: 'B-1', damagedBases: [], databases: 1, tables: 1, limits: '1 processor' };
  const proof = { ...base, finishedAt: october, seconds: 252, lostSeconds: 12, rows: 1234567 };
  await recordRestoreTest(host, paths, run(october), { pointInTime: proof });
  await recordRestoreTest(host, paths, run(october, false), {});
  const made = { id: 'A-1', finishedAt: october, verifiedAt: october, bytes: 2048, seconds: 3 };
  await recordBackup(host, paths, 'daily', run(october), made);
  await recordBackup(host, paths, 'daily', run(october, false));
  const drill = { startedAt: october, finishedAt: october, seconds: 301, data: [], services: [] };
  await recordDrill(host, paths, run(october), drill);
  await noteProof(paths, { kind: 'backup', job: 'later', id: 'L-1', ...run(november) });

  const done = await writeReport(at('2026-11-01T09:00:00Z'), 'last-month');
  t.equal(done.file, join(paths.state, 'reports/2026-10.html'));
  t.equal(statSync(done.file).mode & 0o777, 0o600);
  const page = readFileSync(done.file, 'utf8').replaceAll('\u00a0', ' ');
  t.match(page, /<h1>Your data came back in 4 min 12 s and would have lost 12 s\.<\/h1>/);
  t.match(page, /October 2026/);
  t.match(page, /A-1[\s\S]*2\.0 KiB/);
  t.match(page, /failed<\/strong> it is &lt;gone&gt; &amp; &quot;away&quot;/);
  t.match(page, /Restore tests passed<\/dt><dd>1 of 2/);
  t.match(page, /1,234,567/);
  t.match(page, /5 min 1 s/);
  t.equal(page.match(/<svg /g)?.length, 2, 'RTO and RPO');
  t.match(page, /promised 5 min/);
  t.notMatch(page, /L-1|https?:|<script/, 'nothing of another month, nothing from elsewhere');

  const again = await writeReport(at('2026-11-02T09:00:00Z'), 'last-month');
  t.match(again, { file: done.file, sha256: done.sha256, written: false });
  const now = await writeReport(at('2026-11-21T10:00:00Z'), 'this-month');
  t.match(now.file, /2026-11-until-20261121T100000Z\.html$/);
  t.match(readFileSync(now.file, 'utf8'), /L-1/);
  t.match(await verifyReports(paths), { links: { length: 2 }, head: now.head });
});

t.test('an edited report, and an edited chain, are seen', async (t) => {
  const { paths, at } = server(t);
  t.same((await verifyReports(paths)).links, [], 'no report yet');
  const first = await writeReport(at('2026-11-21T10:00:00Z'), 'this-month');
  const second = await writeReport(at('2026-11-21T10:00:01Z'), 'this-month');
  const chain = join(paths.state, 'reports/chain.jsonl');
  const lines = readFileSync(chain, 'utf8');
  t.match(readFileSync(second.file, 'utf8'), first.head, 'each page names the one before it');

  const page = readFileSync(first.file, 'utf8');
  writeFileSync(first.file, page.replace('Nothing', 'Everything'));
  await t.rejects(verifyReports(paths), {
    code: 'backup/report-edited',
    why: /until-20261121T100000Z\.html was changed/,
  });
  writeFileSync(first.file, page);
  await verifyReports(paths);

  for (const edited of [
    lines.replace('100000Z', '100009Z'),
    lines.split('\n').slice(1).join('\n'),
    lines.split('\n').reverse().join('\n'),
    `${lines}{"broken`,
  ]) {
    writeFileSync(chain, edited);
    await t.rejects(verifyReports(paths), { code: 'backup/report-edited' });
    await t.rejects(writeReport(at('2026-11-22T10:00:00Z'), 'this-month'), {
      code: 'backup/report-edited',
    });
  }
  writeFileSync(chain, lines);
  t.equal((await verifyReports(paths)).head, second.head);
});

t.test(
  'months are kept for two years, and a line that was broken off is passed over',
  async (t) => {
    const { paths, at } = server(t);
    for (const time of ['2024-10-31T23:59:59Z', '2024-11-01T00:00:00Z', '2026-11-01T00:00:00Z']) {
      await noteProof(paths, { kind: 'drill', ...run(time) });
    }
    appendFileSync(join(paths.agent, 'proofs/2026-11.jsonl'), '{"kind":"dri');
    t.equal((await readProofs(paths, ['2026-11', '2026-12'])).length, 1);
    await writeReport(at('2026-11-21T10:00:00Z'), 'this-month');
    t.same(readdirSync(join(paths.agent, 'proofs')).sort(), ['2024-11.jsonl', '2026-11.jsonl']);
    t.ok(existsSync(join(paths.state, 'reports')));
    t.equal(monthBefore('2026-01', 1), '2025-12');
    t.equal(monthBefore('2026-12', -1), '2027-01');
  },
);

t.test('the plot: zero at its foot, the promise within, a failure as a cross', async (t) => {
  const day = 86_400_000;
  const common = {
    title: 'RTO',
    from: 0,
    to: 28 * day,
    format: (seconds: number) => `${seconds} s`,
  };
  const points = [
    { at: 7 * day, value: 10 },
    { at: 14 * day, value: 20 },
  ];
  const drawn = plot({ ...common, points, failures: [21 * day], limit: 40 });
  t.match(drawn, /<text class="axis"[^>]*>0 s</);
  t.match(drawn, /promised 40 s/);
  t.equal(drawn.match(/<circle/g)?.length, 2);
  t.equal(drawn.match(/class="failed"/g)?.length, 1);
  const heights = [...drawn.matchAll(/<circle cx="[\d.]+" cy="([\d.]+)"/g)].map(([, y]) =>
    Number(y),
  );
  const foot = Number(/y1="([\d.]+)"/.exec(drawn)?.[1]);
  t.ok(
    Math.abs((foot - (heights[1] ?? 0)) / (foot - (heights[0] ?? 0)) - 2) < 0.01,
    'twice as high',
  );
  t.notMatch(plot({ ...common, points: points.slice(1), failures: [] }), /polyline|NaN/);
});
