import type { BackupSettings } from '../../model/backup-settings.ts';
import { formatSpan as coarseSpan, formatBytes } from '../../model/format-bytes.ts';
import { type PlotPoint, plot } from './plot.ts';
import type { ProofEntry } from './proof-log.ts';
import { REPORT_STYLE } from './report-style.ts';

export interface ReportInput {
  readonly project: string;
  readonly server: string;
  /** `November 2026` */
  readonly title: string;
  /** Of the months that the plots show, oldest first. */
  readonly history: readonly ProofEntry[];
  /** Of the report's own time. */
  readonly entries: readonly ProofEntry[];
  readonly objectives: BackupSettings['objectives'];
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly to: number;
  readonly writtenAt: string;
  /** sha256 of the chain's last line before this report. */
  readonly head: string;
}

/** The whole page, without anything from elsewhere: it is read in years, and printed. */
export function reportHtml(input: ReportInput): string {
  const { project, title, entries } = input;
  const of = (kind: ProofEntry['kind']): ProofEntry[] =>
    entries.filter((entry) => entry.kind === kind);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(project)}: recovery in ${escaped(title)}</title>
<style>
${REPORT_STYLE}</style>
</head>
<body>
<header>
<p class="kicker">Recovery report · ${escaped(title)}</p>
<h1>${escaped(verdict(input))}</h1>
<p class="where">${escaped(project)} on ${escaped(input.server)}</p>
</header>
${figures(input)}
${plots(input)}
<section>
<h2>Restore tests</h2>
${testTable(of('restore-test'))}
</section>
<section>
<h2>Drills</h2>
${drillTable(of('drill'))}
</section>
<section>
<h2>Backups</h2>
${jobTable(of('backup'))}
${backupDetails(of('backup'))}
</section>
<footer>
<p>Written ${timeText(input.writtenAt)} by holdfast. A restore test is held to one processor and a disk rate, so that a real recovery is at least as fast. What would have been lost is the age of the newest heartbeat that came back.</p>
<p>The sha256 of this page stands in <code>chain.jsonl</code> beside it, after <code class="hash">${input.head}</code>. <code>holdfast report verify</code> compares them. Times are UTC.</p>
</footer>
</body>
</html>
`;
}

/** The one sentence that is read. */
function verdict({ entries }: ReportInput): string {
  const tests = entries.filter(({ kind }) => kind === 'restore-test');
  const last = tests.findLast(({ ok }) => ok);
  if (tests.length === 0) return 'Nothing was restored for a test.';
  if (last?.seconds === undefined) return 'No restore test succeeded.';
  const lost = tests.findLast(({ ok, lostSeconds }) => ok && lostSeconds !== undefined);
  const back = `Your data came back in ${formatSpan(last.seconds)}`;
  if (lost?.lostSeconds === undefined) return `${back}.`;
  return `${back} and would have lost ${lost.lostMore === true ? 'more than ' : ''}${formatSpan(lost.lostSeconds)}.`;
}

function figures({ entries, objectives }: ReportInput): string {
  const good = entries.filter(({ ok }) => ok);
  const worst = (
    kind: ProofEntry['kind'],
    value: 'seconds' | 'lostSeconds',
  ): number | undefined => {
    const all = good.flatMap((one) => (one.kind === kind ? (one[value] ?? []) : []));
    return all.length === 0 ? undefined : Math.max(...all);
  };
  const share = (kind: ProofEntry['kind']): string => {
    const all = entries.filter((one) => one.kind === kind);
    return all.length === 0 ? 'none' : `${all.filter(({ ok }) => ok).length} of ${all.length}`;
  };
  const tile = (label: string, value: string, note: string, isBad: boolean): string =>
    `<div${isBad ? ' class="bad"' : ''}><dt>${label}</dt><dd>${value}</dd><dd class="note">${note}</dd></div>`;
  const measured = (label: string, value: number | undefined, limit: number | undefined): string =>
    tile(
      label,
      value === undefined ? 'not measured' : formatSpan(value),
      limit === undefined ? 'no objective set' : `promised ${formatSpan(limit)}`,
      value !== undefined && limit !== undefined && value > limit,
    );
  const failed = (kind: ProofEntry['kind']): boolean =>
    entries.some((one) => one.kind === kind && !one.ok);
  return `<dl class="figures">
${measured('Slowest return', worst('restore-test', 'seconds'), objectives.rto)}
${measured('Worst loss', worst('restore-test', 'lostSeconds'), objectives.rpo)}
${tile('Restore tests passed', share('restore-test'), `drills: ${share('drill')}`, failed('restore-test') || failed('drill'))}
${tile('Backups made', share('backup'), `${good.filter(({ verified }) => verified === true).length} read back`, failed('backup'))}
</dl>`;
}

function plots({ history, objectives, from, to }: ReportInput): string {
  const tests = history.filter(({ kind }) => kind === 'restore-test');
  const points = (value: 'seconds' | 'lostSeconds'): PlotPoint[] =>
    tests.flatMap((one) => {
      const measured = one[value];
      return one.ok && measured !== undefined
        ? [{ at: Date.parse(one.finishedAt), value: measured }]
        : [];
    });
  const failures = tests.flatMap(({ ok, finishedAt }) => (ok ? [] : [Date.parse(finishedAt)]));
  const first = Math.min(from, ...tests.map(({ finishedAt }) => Date.parse(finishedAt)));
  const common = { failures, from: first, to, format: shortSpan };
  const limits = {
    rto: objectives.rto === undefined ? {} : { limit: objectives.rto },
    rpo: objectives.rpo === undefined ? {} : { limit: objectives.rpo },
  };
  const panel = (title: string, about: string, value: 'seconds' | 'lostSeconds', limit: object) =>
    points(value).length === 0
      ? ''
      : `<figure><figcaption><strong>${title}</strong> ${about}</figcaption>
${plot({ title, points: points(value), ...limit, ...common })}</figure>`;
  return `<section>
<h2>Over time</h2>
${panel('Comes back in', 'RTO, as each restore test measured it', 'seconds', limits.rto)}
${panel('Would lose', 'RPO, the age of the newest heartbeat that came back', 'lostSeconds', limits.rpo)}
${failures.length === 0 ? '' : '<p class="note">× a restore test that failed</p>'}
${tests.some(({ ok }) => ok) ? '' : '<p class="empty">Nothing was measured yet.</p>'}
</section>`;
}

function testTable(tests: readonly ProofEntry[]): string {
  return table(
    ['When', 'Result', 'From', 'Came back in', 'Would have lost', 'Rows'],
    tests.map((one) => [
      timeText(one.finishedAt),
      resultText(one),
      code(one.id),
      one.seconds === undefined ? '' : formatSpan(one.seconds),
      one.lostSeconds === undefined
        ? ''
        : `${one.lostMore === true ? '&gt; ' : ''}${formatSpan(one.lostSeconds)}`,
      one.rows === undefined ? '' : one.rows.toLocaleString('en-GB'),
    ]),
    'No restore was tested.',
  );
}

function drillTable(drills: readonly ProofEntry[]): string {
  return table(
    ['When', 'Result', 'Healthy again in'],
    drills.map((one) => [
      timeText(one.finishedAt),
      resultText(one),
      one.seconds === undefined ? '' : formatSpan(one.seconds),
    ]),
    'No full recovery was rehearsed.',
  );
}

function jobTable(backups: readonly ProofEntry[]): string {
  const jobs = [...Map.groupBy(backups, ({ job }) => job ?? '')].sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  return table(
    ['Job', 'Made', 'Failed', 'Read back', 'Stored', 'Newest'],
    jobs.map(([job, runs]) => {
      const made = runs.filter(({ ok }) => ok);
      const failed = runs.length - made.length;
      return [
        escaped(job),
        String(made.length),
        failed === 0 ? '0' : `<strong class="bad">${failed}</strong>`,
        String(made.filter(({ verified }) => verified === true).length),
        formatBytes(made.reduce((sum, { bytes = 0 }) => sum + bytes, 0)),
        made.length === 0 ? 'none' : timeText(made.at(-1)?.finishedAt ?? ''),
      ];
    }),
    'No backup was made.',
  );
}

function backupDetails(backups: readonly ProofEntry[]): string {
  if (backups.length === 0) return '';
  const rows = backups.map((one) => [
    timeText(one.finishedAt),
    escaped(one.job ?? ''),
    resultText(one),
    code(one.id),
    one.bytes === undefined ? '' : formatBytes(one.bytes),
    one.seconds === undefined ? '' : formatSpan(one.seconds),
  ]);
  return `<details><summary>Each of the ${backups.length} runs</summary>
${table(['When', 'Job', 'Result', 'Backup', 'Stored', 'Took'], rows, '')}
</details>`;
}

function resultText({ ok, what, kind, verified }: ProofEntry): string {
  if (!ok) return `<strong class="bad">failed</strong> ${escaped(what ?? '')}`;
  if (kind === 'backup') return verified === true ? 'read back' : 'made';
  return 'passed';
}

function table(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  none: string,
): string {
  if (rows.length === 0) return `<p class="empty">${none}</p>`;
  const head = titles.map((title) => `<th scope="col">${title}</th>`).join('');
  const body = rows.map((row) => `<tr>${row.map((cell) => `<td>${cell}</td>`).join('')}</tr>`);
  return `<div class="wide"><table><thead><tr>${head}</tr></thead>
<tbody>${body.join('\n')}</tbody></table></div>`;
}

function code(text: string | undefined): string {
  return text === undefined ? '' : `<code>${escaped(text)}</code>`;
}

/** `12 Nov, 06:04`, UTC. */
function timeText(time: string): string {
  const at = new Date(time);
  const day = at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
  return `<time datetime="${escaped(time)}">${day}, ${time.slice(11, 16)}</time>`;
}

/** For an axis: `45 s`, `5 min`, `2 h`. */
function shortSpan(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3_600) return `${Number((seconds / 60).toFixed(1))} min`;
  return `${Number((seconds / 3_600).toFixed(1))} h`;
}

/** To the second below two hours, and never broken over lines. */
function formatSpan(seconds: number): string {
  const whole = Math.round(seconds);
  const text =
    whole < 120 || whole >= 7_200
      ? coarseSpan(whole)
      : `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return text.replaceAll(' ', '\u00a0');
}

function escaped(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
  };
  return text.replaceAll(/[&<>"]/g, (character) => entities[character] ?? character);
}
