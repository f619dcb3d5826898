import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import type { Paths } from '../../model/paths.ts';
import { sha256Hex } from '../manifest.ts';

/** One report in the chain. Each names the one before it, so that none can be changed, taken out or put between. */
export interface ChainLink {
  readonly version: 1;
  readonly file: string;
  /** Of the report's bytes. */
  readonly sha256: string;
  readonly writtenAt: string;
  /** sha256 of the line before this one; zeros for the first. */
  readonly previous: string;
}

const CHAIN = 'chain.jsonl';
const NOTHING = '0'.repeat(64);

export function reportsFolder({ state }: Paths): string {
  return join(state, 'reports');
}

export interface Chain {
  readonly links: readonly ChainLink[];
  /** sha256 of the last line: who keeps it elsewhere sees every later change. */
  readonly head: string;
}

/** @throws AppError `backup/report-edited` when a link does not follow the one before it */
export async function readChain(paths: Paths): Promise<Chain> {
  const text = await readFile(join(reportsFolder(paths), CHAIN), 'utf8').catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
      return '';
    },
  );
  const links: ChainLink[] = [];
  let head = NOTHING;
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const link = parsed(line);
    if (link?.previous !== head)
      throw edited([`line ${links.length + 1} of ${CHAIN} does not follow the one before it`]);
    links.push(link);
    head = sha256Hex(Buffer.from(line));
  }
  return { links, head };
}

/** Stores a report and its link. Killed in between, the report is written again under the same name. */
export async function appendReport(
  host: Host,
  paths: Paths,
  report: { readonly file: string; readonly content: string; readonly writtenAt: string },
): Promise<Chain> {
  const { links, head } = await readChain(paths);
  const folder = reportsFolder(paths);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { file, content, writtenAt } = report;
  await host.write(join(folder, file), content, { mode: 0o600, uid: 0, gid: 0 });
  const sha256 = sha256Hex(Buffer.from(content));
  const link: ChainLink = { version: 1, file, sha256, writtenAt, previous: head };
  const line = JSON.stringify(link);
  const chain = await open(join(folder, CHAIN), 'a', 0o600);
  try {
    await chain.writeFile(`${line}\n`);
    await chain.sync();
  } finally {
    await chain.close();
  }
  return { links: [...links, link], head: sha256Hex(Buffer.from(line)) };
}

/** Compares every report with the chain. @throws AppError `backup/report-edited` with each that differs */
export async function verifyReports(paths: Paths): Promise<Chain> {
  const chain = await readChain(paths);
  const problems: string[] = [];
  for (const { file, sha256 } of chain.links) {
    const content = await readFile(join(reportsFolder(paths), file)).catch(() => undefined);
    if (content === undefined) problems.push(`${file} is gone`);
    else if (sha256Hex(content) !== sha256)
      problems.push(`${file} was changed after it was written`);
  }
  if (problems.length > 0) throw edited(problems);
  return chain;
}

function parsed(line: string): ChainLink | undefined {
  try {
    return JSON.parse(line) as ChainLink;
  } catch {
    return undefined;
  }
}

function edited(problems: readonly string[]): AppError {
  return new AppError({
    code: 'backup/report-edited',
    what: 'the reports are not what holdfast wrote',
    why: problems.join('\n'),
    hint: 'compare with a copy that was kept elsewhere; what was measured stands in the agent folder, proofs/',
    details: { problems },
  });
}
