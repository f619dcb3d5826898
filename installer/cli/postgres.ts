import { apply as applyServer, planServer } from '../apply/apply.ts';
import { SYSTEM_CLOCK } from '../apply/context.ts';
import { withLock } from '../apply/lock.ts';
import { thisProcess } from '../apply/process-identity.ts';
import { lockOfBefore, readUpgrade, saveUpgrade } from '../apply/upgrade/journal.ts';
import { rowsWrittenSoFar } from '../backup/upgrade/rows-written.ts';
import { env } from '../env.ts';
import { AppError } from '../errors.ts';
import type { Desired } from '../model/desired.ts';
import { formatSpan } from '../model/format-bytes.ts';
import type { UpgradeJournal, WantedUpgrade } from '../model/postgres-upgrade.ts';
import { engineName } from '../model/stack.ts';
import { planText } from '../plan/text.ts';
import { keepConfig } from './applied-config.ts';
import type { ParsedArguments } from './command.ts';
import { consent, refused } from './consent.ts';
import type { CliContext, Server } from './context.ts';
import { frontDoor } from './front-door.ts';
import { rehearseNow, runningPostgres, upgradeContext } from './postgres-clusters.ts';
import { type Prepared, prepare, sourceHost } from './prepare.ts';
import { configDigest, type LoadedConfig, readConfig } from './read-config.ts';
import { startAnew } from './start-anew.ts';

/** Seconds that a way back waits for an apply which is at work. */
const WAIT_FOR_APPLY = 600;

/** `holdfast postgres rehearse`: tries the upgrade that the config asks for on a copy. Exit code 0 when it can be done. */
export async function postgresRehearse(
  args: ParsedArguments,
  context: CliContext,
): Promise<number> {
  const server = await context.open(args.value('host'));
  const { host, engine } = server;
  const loaded = await readConfig(args.value('config') ?? context.paths.config);
  const prepared = await prepare(context, server, { loaded, upgradesPostgres: true });
  const process = await thisProcess(env.sudoUser ?? env.user ?? 'unknown');
  const request = {
    process,
    command: 'holdfast postgres rehearse',
    clock: SYSTEM_CLOCK,
    waitSeconds: 0,
  };
  const rehearsal = await withLock(host, context.paths, request, async () => {
    const { desired, upgrade } = await planRehearsal(prepared);
    const { reference } = upgrade.to.image;
    const action = desired.images.get(reference);
    if ((await engine.image(reference)) === undefined) {
      const { images } = prepared.apply;
      if (action?.kind === 'bake')
        await images.bake([action.target], [reference], async () => undefined);
      else await images.pull(reference);
    }
    const upgrading = upgradeContext(context, server, loaded.config.project);
    return await rehearseNow(upgrading, upgrade, context.now);
  });
  const { from, to, seconds, problems } = rehearsal;
  if (args.flag('json')) context.io.out(`${JSON.stringify(rehearsal)}\n`);
  else if (problems.length === 0) {
    context.io.out(
      `Postgres ${from} to ${to} works with this data: about ${formatSpan(seconds)} without a database. Carry it out: holdfast apply\n`,
    );
  }
  if (problems.length === 0) return 0;
  throw new AppError({
    code: 'preflight/postgres-upgrade',
    what: `the data of Postgres ${from} does not go over to ${to}`,
    why: problems.join('\n'),
    hint: 'correct what it names, then `holdfast postgres rehearse` again',
    details: { problems },
  });
}

/**
 * What to rehearse. The caller holds the server's lock.
 * @throws AppError `usage/no-upgrade` when the config asks for the version that runs
 */
export async function planRehearsal({
  apply,
  render,
}: Pick<Prepared, 'apply' | 'render'>): Promise<{
  readonly desired: Desired;
  readonly upgrade: WantedUpgrade;
}> {
  // First: the plan asks for free disk, and what a killed rehearsal left takes it.
  await apply.clusters?.clear();
  const { desired } = await planServer(apply, { render });
  const { postgresUpgrade: upgrade } = desired;
  if (upgrade === undefined) throw nothingToUpgrade();
  return { desired, upgrade };
}

/** `holdfast postgres revert`: back to the cluster of before the upgrade, without what was written since. */
export async function postgresRevert(args: ParsedArguments, context: CliContext): Promise<number> {
  const server = await context.open(args.value('host'));
  const { host } = server;
  const { paths } = context;
  const journal = await readUpgrade(host, paths);
  if (journal === undefined || (journal.phase !== 'done' && journal.phase !== 'switched')) {
    throw nothingToRevert();
  }
  const configPath = args.value('config') ?? paths.config;
  const loaded = await readConfig(configPath);
  const prepared = await prepare(context, server, { loaded });
  const reverting: UpgradeJournal = { ...journal, phase: 'reverting' };
  let live = journal.to.volume;
  const outcome = await applyServer(prepared.apply, {
    process: await thisProcess(env.sudoUser ?? env.user ?? 'unknown'),
    command: 'holdfast postgres revert',
    waitSeconds: WAIT_FOR_APPLY,
    interrupt: context.signal,
    render: (observed) => {
      refuseOtherVersion(loaded, journal);
      live = observed.lock.postgresVolume ?? live;
      const lock = lockOfBefore(observed, loaded.config.project, reverting);
      return prepared.render({ ...observed, lock });
    },
    configDigest: () => configDigest(configPath),
    confirm: async (plan) => {
      if (!args.flag('json')) context.io.out(planText(plan));
      const question = await lossOf(context, server, loaded, {
        ...journal,
        // A restore has swapped another cluster in, with a count of its own.
        ...(live === journal.to.volume ? {} : { rowsWritten: Number.POSITIVE_INFINITY }),
      });
      if (!args.flag('json')) context.io.out(`${question}\n`);
      return await consent(args, context, { text: 'Go on? [y/N] ' });
    },
    keepRendered: async () => {
      await prepared.keepRendered();
      // From here on the old cluster counts, however this run ends.
      await saveUpgrade(host, paths, reverting);
    },
    keepConfig: () => keepConfig({ host, paths }, loaded, sourceHost(server, loaded)),
    verify: frontDoor(host, context).verify,
  });
  if (outcome.result === 'declined') throw refused(args);
  await startAnew(context, server);
  const { result, seconds } = outcome;
  const kept = engineName(loaded.config.project, live);
  context.io.out(
    args.flag('json')
      ? `${JSON.stringify({ version: 1, result, seconds, from: journal.to.major, to: journal.from.major, kept })}\n`
      : `Postgres runs on its cluster of version ${journal.from.major} again. The other one is kept; when you are sure:\n  docker volume rm ${kept}\n`,
  );
  return 0;
}

/** The config stays what is true of the server. */
function refuseOtherVersion({ config }: LoadedConfig, { from, to }: UpgradeJournal): void {
  const wish = config.postgres?.version;
  if (wish === from.major || wish === undefined) return;
  throw new AppError({
    code: 'config/postgres-major',
    what: `the config asks for Postgres ${wish}, and the cluster of before the upgrade is of ${from.major}; nothing was changed`,
    why: `the next apply would upgrade it to ${to.major} again`,
    hint: `write postgres.version: "${from.major}" into config.yaml, then \`holdfast postgres revert\``,
  });
}

async function lossOf(
  context: CliContext,
  server: Server,
  { config }: LoadedConfig,
  { from, to, switchedAt, rowsWritten }: UpgradeJournal,
): Promise<string> {
  const since =
    switchedAt === undefined
      ? 'the upgrade'
      : `${switchedAt}, ${formatSpan((context.now().getTime() - Date.parse(switchedAt)) / 1000)} ago`;
  const upgrading = upgradeContext(context, server, config.project);
  const begin = `Postgres goes back from ${to.major} to its cluster of ${from.major}, without what was written since ${since}:`;
  try {
    const now = await rowsWrittenSoFar(await runningPostgres(upgrading, 'holdfast-revert'));
    if (rowsWritten === undefined || now < rowsWritten) return `${begin} nobody counted the rows.`;
    return `${begin} ${now - rowsWritten} rows inserted, updated or deleted.`;
  } catch (error) {
    // A server that is down is what the way back is for.
    if (!(error instanceof AppError) || !error.code.startsWith('backup/')) throw error;
    return `${begin} it does not answer, so nobody can count the rows.`;
  }
}

function nothingToUpgrade(): AppError {
  return new AppError({
    code: 'usage/no-upgrade',
    what: 'the config asks for the version of Postgres that runs',
    hint: 'write another postgres.version into config.yaml first',
  });
}

function nothingToRevert(): AppError {
  return new AppError({
    code: 'usage/no-upgrade',
    what: 'there is no upgrade of Postgres to go back from',
    hint: 'holdfast restore: backups and moments before now',
  });
}
