import { backupIdTime } from '../backup/backup-id.ts';
import { type DataWish, isLost } from '../backup/recovery/choose-data.ts';
import type { Recovery } from '../backup/recovery/journal.ts';
import { AppError } from '../errors.ts';
import { formatSpan } from '../model/format-bytes.ts';
import { LABELS } from '../model/labels.ts';
import { appliedProject } from './applied.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext, Server } from './context.ts';
import type { SavedAnew } from './restore-server-apply.ts';

/** @throws AppError `restore/other-project`, `restore/server-in-use` where there is something that the kit would replace */
export async function refuseServerInUse(
  args: ParsedArguments,
  { paths }: CliContext,
  { host, engine }: Server,
  project: string,
): Promise<void> {
  const running = await appliedProject(host, paths);
  if (running !== undefined && running !== project) throw otherProject(host.name, running, project);
  if (args.flag('replace')) return;
  const volumes = await engine.volumes({ [LABELS.project]: project });
  const found = [
    ...((await host.stat(paths.manifest)) === undefined ? [] : ['a config was applied here']),
    ...volumes.map(({ name }) => `there is the volume ${name}`),
  ];
  if (found.length === 0) return;
  throw new AppError({
    code: 'restore/server-in-use',
    what: `this server is not blank, and nothing was changed`,
    why: found.join('\n'),
    hint: 'run this on a new server; or add --replace: config, secrets and certificates become those of the kit, data that is here is kept beside what is restored',
  });
}

/** Replacing files would leave its containers behind, with the ports that the restored ones need. */
function otherProject(host: string, running: string, wanted: string): AppError {
  return new AppError({
    code: 'restore/other-project',
    what: `${host} runs the project ${running}, and the recovery kit is of ${wanted}; nothing was changed`,
    why: 'two projects do not fit on one server: both want its ports, also with --replace',
    hint: `when nobody needs ${running} (\`install.sh\` without a config sets up an example, \`localhost\`): holdfast uninstall; then the same command`,
    details: { running, wanted },
  });
}

/** What would be done, before the question. */
export function choiceText(
  { kit, writer, data }: Recovery,
  { secrets, sites }: { readonly secrets: number; readonly sites: readonly string[] },
  now: Date,
): string {
  const shown = sites.length === 0 ? '' : `, what ${sites.join(', ')} showed`;
  return [
    `Project ${kit.project} of ${writer.host}, from the recovery kit ${kit.id} of ${age(kit.id, now)} ago:`,
    `  config, ${secrets} secrets, certificates, lock file${shown}`,
    ...data.map((wish) => `  ${wish.what}: ${sourceText(wish, now)}`),
    '',
  ].join('\n');
}

function sourceText({ base, rollsForward, backups: [best] }: DataWish, now: Date): string {
  if (rollsForward) return `${base} and all WAL that follows it`;
  if (best === undefined) return 'NO BACKUP WAS FOUND, it begins empty';
  const further = base === undefined ? '' : ` (${base} and its WAL may lead further: --latest)`;
  return `${best.id} of ${age(best.id, now)} ago${further}`;
}

export interface Summary extends SavedAnew {
  readonly kit: string;
  readonly project: string;
  /** Name of the server that is no more. */
  readonly server: string;
  readonly startedAt: string;
  readonly seconds: number;
  readonly data: Recovery['done'];
  /** Undefined where the config belongs beside its sources. */
  readonly config: string | undefined;
}

export function summaryText(done: Summary, wishes: readonly DataWish[]): string {
  const began = new Date(done.startedAt);
  const lost = wishes.filter(isLost).map(({ what }) => what);
  return [
    `${done.project} of ${done.server} is back, through the front door, in ${formatSpan(done.seconds)}.`,
    `config, secrets and certificates: ${done.kit}, ${age(done.kit, began)} old`,
    ...done.data.flatMap(({ what, backup, lines }) => [
      `${what}: ${backup}, ${age(backup, began)} old`,
      ...lines.map((line) => `  ${line}`),
    ]),
    ...lost.map((what) => `${what}: no backup was found, it began empty`),
    done.config === undefined
      ? 'The config builds from sources that were not on the old server: apply it next from where they stand.'
      : `The config stands in ${done.config}.`,
    done.backups.length === 0
      ? 'No new backup was made.'
      : `New backups: ${done.backups.join(', ')}`,
    ...done.failed.map((job) => `No new backup of ${job}: holdfast backup run ${job}`),
    'Remove the key that you brought: the server needs it no more.',
    '',
  ].join('\n');
}

/** How long before a moment a backup began. */
function age(id: string, at: Date): string {
  const begun = backupIdTime(id) ?? at;
  return formatSpan(Math.max(0, (at.getTime() - begun.getTime()) / 1000));
}
