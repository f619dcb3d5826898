import { endDrill, runDrill } from '../backup/drill/drill.ts';
import type { DrillReport } from '../model/drill-result.ts';
import { formatSpan } from '../model/format-bytes.ts';
import { appliedAgentSettings } from './applied.ts';
import { backupContext } from './backup-context.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';

/** `holdfast backup drill`: a full recovery, rehearsed. */
export async function backupDrill(args: ParsedArguments, context: CliContext): Promise<number> {
  const backup = await backupContext(context);
  if (args.flag('remove')) {
    await endDrill(backup);
    return 0;
  }
  const { services } = await appliedAgentSettings(backup.host, backup.paths);
  const report = await runDrill(backup, { services, keep: args.flag('keep') });
  context.io.out(
    args.flag('json') ? `${JSON.stringify({ version: 1, ...report })}\n` : drillText(report),
  );
  if (args.flag('keep')) {
    context.report({
      kind: 'notice',
      text: `it stands as ${backup.settings.project}-drill; when you have seen it: holdfast backup drill --remove`,
    });
  }
  return 0;
}

function drillText({ seconds, data, services }: DrillReport): string {
  return [
    ...data.map(({ what, from }) => `${what}: ${from}`),
    ...services.map(
      ({ service, check, seconds: own }) =>
        `${service}: healthy ${formatSpan(own)} after its start (${check})`,
    ),
    `A loss of this server was rehearsed to its end in ${formatSpan(seconds)}.`,
    '',
  ].join('\n');
}
