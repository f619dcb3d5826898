import { apply as applyServer, planServer } from '../apply/apply.ts';
import { thisProcess } from '../apply/process-identity.ts';
import { waitForBackups } from '../backup/wait-for-backups.ts';
import { edgeFolders } from '../components/nginx/places.ts';
import { env } from '../env.ts';
import { AppError, EXIT_CODES } from '../errors.ts';
import { pendingUpdates } from '../images/pending-updates.ts';
import { RESULTS_FOLDER } from '../model/backup-result.ts';
import type { Desired } from '../model/desired.ts';
import { isInWindow } from '../model/maintenance-window.ts';
import type { Plan } from '../model/operation.ts';
import type { Paths } from '../model/paths.ts';
import { type PendingUpdate, UPDATES_RESULT, type UpdatesResult } from '../model/updates-result.ts';
import type { Observed } from '../plan/observed.ts';
import { planText } from '../plan/text.ts';
import { appliedBackupSettings } from './applied.ts';
import { configInForce } from './applied-config.ts';
import { healthText } from './apply.ts';
import type { ParsedArguments } from './command.ts';
import { consent, refused } from './consent.ts';
import type { CliContext, Server } from './context.ts';
import { colouredPlan } from './display/plan.ts';
import { durationText } from './display/quantity.ts';
import { styleFor } from './display/style.ts';
import { frontDoor } from './front-door.ts';
import { prepare } from './prepare.ts';
import type { LoadedConfig } from './read-config.ts';

/** The window is looked at again after each. */
const BACKUP_WAIT_SECONDS = 30;
/** Half a day: longer than any window. */
const BACKUP_WAITS = 1_440;

/**
 * `holdfast update`: takes newer images, if there are any. What does not become healthy is taken back to
 * the image before. With `--check` it only says what is newer.
 */
export async function update(args: ParsedArguments, context: CliContext): Promise<number> {
  const server = await context.open(args.value('host'));
  const loaded = await configInForce(args.value('config'), {
    host: server.host,
    paths: context.paths,
  });
  const prepared = await prepare(context, server, {
    loaded,
    event: 'update',
    refreshImages: true,
  });
  const { observed, desired } = await planServer(prepared.apply, { render: prepared.render });
  const isCheck = args.flag('check');
  refuseEditedConfig(observed, desired, isCheck);
  const pending = await findPending(context, server, observed, desired);
  await keepResult(context, server, pending);

  const json = args.flag('json');
  const show = (text: string): void => {
    if (!json) context.io.out(text);
  };
  show(pendingText(pending));
  if (isCheck || pending.length === 0) {
    if (json) context.io.out(`${JSON.stringify({ version: 1, pending, result: 'checked' })}\n`);
    return 0;
  }
  await backupsEnd(args, context, server, loaded, show);
  const outcome = await applyServer(prepared.apply, {
    process: await thisProcess(env.sudoUser ?? env.user ?? 'unknown'),
    command: 'holdfast update',
    waitSeconds: 600,
    render: prepared.render,
    interrupt: context.signal,
    configDigest: async () => loaded.digest,
    asksPerson: !args.flag('yes'),
    confirm: async (plan) => {
      refuseSecrets(plan, context.paths);
      show(colouredPlan(planText(plan), styleFor(context.io.color)));
      return await consent(args, context, { text: `Update ${server.host.name}? [y/N] ` });
    },
    keepRendered: prepared.keepRendered,
    ...frontDoor(server.host, context),
  });
  const { result, seconds, unhealthy } = outcome;
  if (result === 'declined') throw refused(args);
  if (result === 'applied') await keepResult(context, server, []);
  if (json) {
    context.io.out(`${JSON.stringify({ version: 1, pending, result, seconds, unhealthy })}\n`);
  } else if (result === 'applied') {
    show(`Updated in ${durationText(seconds)}. ${healthText(unhealthy)}\n`);
  } else show('No changes were made.\n');
  return unhealthy.length === 0 ? 0 : EXIT_CODES.health;
}

/** An update brings newer images and nothing else: least of all half of an edit. */
function refuseEditedConfig({ manifest }: Observed, desired: Desired, isCheck: boolean): void {
  if (manifest.configDigest === desired.configDigest) return;
  const isFirst = manifest.configDigest === undefined;
  // An edit that waits for its apply must not silence the agent's daily look.
  if (isCheck && !isFirst) return;
  throw new AppError({
    code: isFirst ? 'usage/nothing-applied' : 'config/not-applied',
    what: isFirst
      ? 'nothing has been applied to this server yet'
      : 'config.yaml was edited after the last apply',
    why: 'an update brings newer images and no other change',
    hint: 'holdfast apply',
  });
}

/**
 * A secret that was set, and waits for its apply. Certificates are renewed meanwhile.
 * @throws AppError `config/not-applied`
 */
export function refuseSecrets({ operations }: Pick<Plan, 'operations'>, paths: Paths): void {
  const created = operations.flatMap((one) =>
    one.kind === 'compose-up' ? one.services.filter(({ change }) => change === 'create') : [],
  );
  const others = [
    edgeFolders(paths).certificates,
    // Grafana comes with the update that first finds its image.
    ...created.map(({ service }) => `${paths.secretMounts}/${service}`),
  ];
  const written = operations.flatMap((one) =>
    one.kind === 'write-file' &&
    one.secret &&
    !others.some((folder) => one.path.startsWith(`${folder}/`))
      ? [one.path]
      : [],
  );
  if (written.length === 0) return;
  throw new AppError({
    code: 'config/not-applied',
    what: 'a secret was set after the last apply',
    why: `an update brings newer images and no other change, and this would write\n${written.join('\n')}`,
    hint: 'holdfast apply',
  });
}

/** Backups end first: an update restarts what they read. A window that closes meanwhile is over. */
async function backupsEnd(
  args: ParsedArguments,
  context: CliContext,
  { host }: Server,
  loaded: LoadedConfig,
  show: (text: string) => void,
): Promise<void> {
  const { jobs } = await appliedBackupSettings(host, context.paths);
  const names = jobs.map(({ name }) => name);
  for (let tries = 1; ; tries += 1) {
    refuseOutsideWindow(args, context, loaded);
    // The jobs of another machine hold their locks there; an apply of theirs is waited for all the same.
    if (host.name !== 'localhost') return;
    try {
      await waitForBackups(host, context.paths, names, tries === 1 ? 0 : BACKUP_WAIT_SECONDS);
      return;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'lock/held') throw error;
      if (tries > BACKUP_WAITS) throw error;
      if (tries === 1) show('A backup runs: waiting until it has ended.\n');
    }
  }
}

function refuseOutsideWindow(
  args: ParsedArguments,
  context: CliContext,
  { config }: LoadedConfig,
): void {
  const { window } = config.updates;
  if (args.flag('now') || window === undefined) return;
  if (isInWindow(window, config.timezone, context.now())) return;
  const day = window.day === undefined ? '' : `${window.day} `;
  throw new AppError({
    code: 'consent/outside-window',
    what: 'updates may happen in their window only',
    why: `updates.window is ${day}${window.from} to ${window.to} (${window.every}, ${config.timezone})`,
    hint: 'holdfast update --now',
  });
}

function findPending(
  context: CliContext,
  { host }: Server,
  observed: Observed,
  desired: Desired,
): Promise<PendingUpdate[]> {
  const programPath = host.name === 'localhost' ? context.packageRoot : context.paths.program;
  return pendingUpdates(host, programPath, observed.lock, desired.lock);
}

async function keepResult(
  { paths, now }: CliContext,
  { host }: Server,
  pending: readonly PendingUpdate[],
): Promise<void> {
  const result: UpdatesResult = { version: 1, checkedAt: now().toISOString(), pending };
  await host.write(
    `${paths.agent}/${RESULTS_FOLDER}/${UPDATES_RESULT}`,
    `${JSON.stringify(result)}\n`,
    { mode: 0o600, uid: 0, gid: 0 },
  );
}

function pendingText(pending: readonly PendingUpdate[]): string {
  if (pending.length === 0) return 'Every image is the newest that there is.\n';
  const lines = pending.flatMap(({ name, current, available, changes }) => [
    `${name}: ${short(current)} → ${short(available)}`,
    ...changes.map((change) => `  ${change}`),
  ]);
  return `${lines.join('\n')}\n`;
}

function short(reference: string): string {
  return reference.replace(/@sha256:([0-9a-f]{12})[0-9a-f]+$/, '@$1');
}
