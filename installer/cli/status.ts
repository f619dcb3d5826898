import { EXIT_CODES } from '../errors.ts';
import { formatBytes } from '../model/format-bytes.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';
import { durationText } from './display/quantity.ts';
import { type Style, styleFor } from './display/style.ts';
import { maintenanceText } from './maintenance-state.ts';
import { lossText } from './proof-text.ts';
import { scalingText } from './replica-status.ts';
import { type RecoveryKeyStatus, type StatusReport, statusReport } from './status-report.ts';

/** `holdfast status`: one screen; exit code 11 when something is wrong. */
export async function status(args: ParsedArguments, context: CliContext): Promise<number> {
  const server = await context.open(args.value('host'));
  const report = await statusReport(server, context.paths, context.now());
  if (args.flag('json')) context.io.out(`${JSON.stringify(report)}\n`);
  else context.io.out(statusText(report, context.now(), styleFor(context.io.color)));
  return report.problems.length === 0 ? 0 : EXIT_CODES.health;
}

export function statusText(report: StatusReport, now: Date, style: Style): string {
  const width = Math.max(0, ...report.services.map(({ service }) => service.length));
  const ago = (time: string) => `${durationText((now.getTime() - Date.parse(time)) / 1000)} ago`;
  const lines = [style.bold(`${report.project} on ${report.host}`), ''];
  for (const { service, healthy, replicas, state, image, watched } of report.services) {
    const isFine = healthy === replicas;
    const count = replicas === 1 ? '' : ` ${healthy}/${replicas}`;
    lines.push(
      `  ${isFine ? style.good('●') : style.bad('●')} ${service.padEnd(width)}  ${isFine ? 'healthy' : state}${count}  ${style.dim(shortImage(image))}`,
    );
    if (watched?.scaling !== undefined) {
      lines.push(`    ${' '.repeat(width)}  ${style.dim(scalingText(watched.scaling, ago))}`);
    }
  }
  lines.push('', ...addressLines(report), '');
  for (const { job, lastSuccessAt, lastVerifiedAt, bytes = 0 } of report.backups) {
    const text =
      lastSuccessAt === undefined
        ? style.warn('none yet')
        : `${ago(lastSuccessAt)}, ${formatBytes(bytes)}, ${lastVerifiedAt === undefined ? style.warn('not verified') : `verified ${ago(lastVerifiedAt)}`}`;
    lines.push(`  backup ${job}: ${text}`);
  }
  lines.push(
    report.restoreTest === undefined
      ? `  restore test: ${style.warn('none yet')}; run: holdfast backup restore-test`
      : `  restore test: ${ago(report.restoreTest.finishedAt)}, came back in ${durationText(report.restoreTest.seconds)} (${report.restoreTest.rows} rows)`,
  );
  if (report.pointInTime !== undefined) {
    const { finishedAt, seconds } = report.pointInTime;
    lines.push(
      `  point in time: ${ago(finishedAt)}, came back in ${durationText(seconds)}, ${lossText(report.pointInTime)}`,
    );
  }
  if (report.recoveryKey !== undefined) {
    lines.push(`  recovery key: ${recoveryKeyText(report.recoveryKey, style)}`);
  }
  if (report.drill !== undefined) {
    lines.push(
      `  drill: ${ago(report.drill.finishedAt)}, healthy again in ${durationText(report.drill.seconds)}`,
    );
  }
  for (const { name, daysLeft, issuer } of report.certificates) {
    lines.push(`  certificate ${name}: ${daysLeft} days left, signed by ${issuer}`);
  }
  lines.push(
    `  disk: ${report.disk.usedPercent} % used, ${formatBytes(report.disk.freeBytes)} free`,
  );
  if (report.pendingUpdates.length > 0) {
    lines.push(`  updates: ${report.pendingUpdates.length} pending; run: holdfast update`);
  }
  if (report.maintenance !== undefined) {
    lines.push(`  ${style.warn(maintenanceText(report.maintenance))}`);
  }
  lines.push(`  agent: ${report.agent}`, '');
  for (const problem of report.problems) lines.push(`${style.bad('✗')} ${problem}`);
  if (report.problems.length === 0) lines.push(`${style.good('✓')} All is well.`);
  return `${lines.join('\n')}\n`;
}

/** Where the product answers: every name that has a certificate. */
function addressLines({ certificates }: StatusReport): string[] {
  const names = certificates.flatMap(({ name }) => (name.startsWith('*') ? [] : [name]));
  return names.length === 0 ? [] : [`  at ${names.map((name) => `https://${name}`).join(' ')}`];
}

function recoveryKeyText(
  { recipients, proven, declinedAt }: RecoveryKeyStatus,
  style: Style,
): string {
  if (proven > 0) return `in your hands, as proved (${proven} of ${recipients})`;
  const declined = declinedAt === undefined ? '' : `, declined ${declinedAt.slice(0, 10)}`;
  return recipients === 0
    ? style.warn(
        `none${declined}: backups are lost with this server; run: holdfast recovery-key make`,
      )
    : style.warn(`never proved to be kept${declined}; run: holdfast recovery-key prove`);
}

function shortImage(reference: string): string {
  return reference.replace(/@sha256:([0-9a-f]{12})[0-9a-f]+$/, '@$1');
}
