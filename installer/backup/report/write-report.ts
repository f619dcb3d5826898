import { hostname } from 'node:os';
import { posix } from 'node:path';
import type { BackupContext } from '../context.ts';
import { exclusively } from '../exclusive.ts';
import { appendReport, type Chain, readChain, reportsFolder } from './chain.ts';
import { monthBefore, monthOf, pruneProofs, readProofs } from './proof-log.ts';
import { reportHtml } from './report-html.ts';

/** Months that the plots show. */
const SHOWN_MONTHS = 12;

export interface WrittenReport {
  /** Absolute. */
  readonly file: string;
  readonly sha256: string;
  /** sha256 of the chain's last line. */
  readonly head: string;
  /** It was not there before. */
  readonly written: boolean;
}

type ReportContext = Pick<BackupContext, 'host' | 'paths' | 'settings' | 'now'>;

/**
 * Writes what was proved in the running month up to now, or in the month that is over: that once, under the name of
 * the month, also when it is asked again.
 * @throws AppError `backup/report-edited` when the chain is not whole
 */
export async function writeReport(
  context: ReportContext,
  which: 'this-month' | 'last-month',
): Promise<WrittenReport> {
  const { host, paths, now } = context;
  return await exclusively(host, posix.join(paths.agent, 'locks'), 'report', async () => {
    const writtenAt = now().toISOString();
    const running = monthOf(writtenAt);
    const month = which === 'this-month' ? running : monthBefore(running, 1);
    const moment = writtenAt.replaceAll(/[-:]|\.\d+/g, '');
    const file = which === 'this-month' ? `${month}-until-${moment}.html` : `${month}.html`;
    const chain = await readChain(paths);
    if (chain.links.some((link) => link.file === file)) return answer(context, chain, file, false);
    const content = await pageOf(context, month, writtenAt, chain.head);
    const after = await appendReport(host, paths, { file, content, writtenAt });
    await pruneProofs(paths, running);
    return answer(context, after, file, true);
  });
}

async function pageOf(
  { paths, settings, now }: ReportContext,
  month: string,
  writtenAt: string,
  head: string,
): Promise<string> {
  const months = Array.from({ length: SHOWN_MONTHS }, (_none, n) =>
    monthBefore(month, n),
  ).reverse();
  const from = Date.parse(`${month}-01T00:00:00Z`);
  const end = Date.parse(`${monthBefore(month, -1)}-01T00:00:00Z`);
  return reportHtml({
    project: settings.project,
    server: hostname(),
    title: new Date(from).toLocaleDateString('en-GB', {
      month: 'long',
      year: 'numeric',
      timeZone: 'UTC',
    }),
    history: await readProofs(paths, months),
    entries: await readProofs(paths, [month]),
    objectives: settings.objectives,
    from,
    to: Math.min(end, now().getTime()),
    writtenAt,
    head,
  });
}

function answer(
  { paths }: ReportContext,
  { links, head }: Chain,
  file: string,
  written: boolean,
): WrittenReport {
  const sha256 = links.find((link) => link.file === file)?.sha256 ?? '';
  return { file: posix.join(reportsFolder(paths), file), sha256, head, written };
}
