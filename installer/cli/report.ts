import { verifyReports } from '../backup/report/chain.ts';
import { writeReport } from '../backup/report/write-report.ts';
import { backupContext } from './backup-context.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';

/** `holdfast report write`: what was proved, as a page. */
export async function reportWrite(args: ParsedArguments, context: CliContext): Promise<number> {
  const which = args.flag('last-month') ? 'last-month' : 'this-month';
  const done = await writeReport(await backupContext(context), which);
  const { file, sha256, written } = done;
  context.io.out(
    args.flag('json')
      ? `${JSON.stringify({ version: 1, ...done })}\n`
      : `${file}${written ? '' : ' was there already'}\nsha256 ${sha256}\n`,
  );
  return 0;
}

/** `holdfast report verify`. */
export async function reportVerify(args: ParsedArguments, context: CliContext): Promise<number> {
  const { links, head } = await verifyReports(context.paths);
  if (args.flag('json')) {
    const reports = links.map(({ file, sha256, writtenAt }) => ({ file, sha256, writtenAt }));
    context.io.out(`${JSON.stringify({ version: 1, reports, head })}\n`);
    return 0;
  }
  context.io.out(
    links.length === 0
      ? 'There is no report yet. Write one: holdfast report write\n'
      : `${links.length} report(s) are as they were written; the chain ends in ${head}\n`,
  );
  return 0;
}
