import { resolve } from 'node:path';
import { hostFacts } from '../apply/facts.ts';
import type { BackupContext } from '../backup/context.ts';
import { isStoreError } from '../backup/find-backups.ts';
import { chooseData, type DataWish, isLost } from '../backup/recovery/choose-data.ts';
import { findKits } from '../backup/recovery/find-kits.ts';
import {
  endRecovery,
  type Recovery,
  type RecoveryWish,
  readRecovery,
  refuseOtherWish,
  unpackedFolder,
  writeRecovery,
} from '../backup/recovery/journal.ts';
import {
  type BucketAccess,
  isSamePlace,
  openPlace,
  parsePlace,
  placePrefix,
  type RecoveryPlace,
} from '../backup/recovery/place.ts';
import { kitContents, placeKit } from '../backup/recovery/place-kit.ts';
import { refuseStillWritten } from '../backup/recovery/still-written.ts';
import { loadImages, unpackNewest } from '../backup/recovery/unpack-kit.ts';
import { findStore, readBackupSettings, readSecret } from '../backup/settings.ts';
import { openStore } from '../backup/store/open-store.ts';
import type { Store } from '../backup/store/store.ts';
import { takeOver } from '../backup/take-over.ts';
import { writerIdentity } from '../backup/writer-id.ts';
import { EXIT_CODES } from '../errors.ts';
import type { BackupJob, BackupSettings } from '../model/backup-settings.ts';
import type { Paths } from '../model/paths.ts';
import { readKept } from './applied-config.ts';
import { bucketAccess } from './bucket-access.ts';
import type { ParsedArguments } from './command.ts';
import { requireTerminal } from './consent.ts';
import type { CliContext, Server } from './context.ts';
import { fitToCores } from './notices.ts';
import { asker } from './restore-consent.ts';
import { applyKept, firstApply, placeConfig, saveAnew, swapKept } from './restore-server-apply.ts';
import { restoreData } from './restore-server-data.ts';
import { choiceText, refuseServerInUse, summaryText } from './restore-server-text.ts';
import { startAnew } from './start-anew.ts';

/** What every step of a recovery needs. */
interface Work {
  readonly args: ParsedArguments;
  readonly context: CliContext;
  readonly server: Server;
  readonly place: RecoveryPlace;
  readonly access: BucketAccess | undefined;
  readonly identityFile: string | undefined;
}

/**
 * `holdfast restore --from PLACE --identity FILE`: makes a blank server the one whose kit and backups lie there.
 * Killed at any moment and run again it goes on where it was.
 */
export async function restoreServer(
  args: ParsedArguments,
  context: CliContext,
  from: string,
): Promise<number> {
  const place = parsePlace(from);
  if (!args.flag('yes')) {
    // Before the work rather than after it.
    requireTerminal(
      args,
      context,
      'setting a server up needs a yes, and there is no terminal to ask on',
    );
  }
  const identity = args.value('identity');
  const server = await context.open();
  const work: Work = {
    args,
    context,
    server,
    place,
    access: await bucketAccess(args, context, place),
    identityFile: identity === undefined ? undefined : resolve(identity),
  };
  const { host } = server;
  const { paths } = context;
  const begun = await readRecovery(host, paths);
  if (begun !== undefined) refuseOtherWish(paths, begun, wishOf(work));
  let recovery = begun ?? (await choose(work));
  const keep = async (change: Partial<Recovery>): Promise<void> => {
    recovery = { ...recovery, ...change };
    await writeRecovery(host, paths, recovery);
  };
  if (recovery.step === 'chosen') {
    await withPlace(work, (store) => loadImages(store, recovery.kit, work.identityFile));
    await placeKit(host, paths);
    await tellOthers(work, recovery);
    await keep({ step: 'placed' });
  }
  if (recovery.step === 'placed') {
    await firstApply(context, server);
    const settings = await readBackupSettings(host, paths);
    const contextFor = reader(work, recovery, settings, paths);
    for (const wish of recovery.data) {
      const isDone = recovery.done.some(({ what }) => what === wish.what);
      if (isDone || isLost(wish)) continue;
      const restored = await restoreData(wish, {
        identityFile: work.identityFile ?? '',
        writer: recovery.writer,
        contextFor,
        settings,
        swap: (volume) => swapKept(context, server, volume),
        startAnew: async () => await startAnew(context, await context.open()),
      });
      await keep({ done: [...recovery.done, restored] });
    }
    await keep({ step: 'restored' });
  }
  await applyKept(context, server);
  const config = await placeConfig(context, server);
  await host.remove(unpackedFolder(paths), { recursive: true });
  const saved = await saveAnew(context);
  await endRecovery(host, paths);
  const answer = { version: 1, ...summary(recovery, context.now()), ...saved, config };
  context.io.out(
    args.flag('json') ? `${JSON.stringify(answer)}\n` : summaryText(answer, recovery.data),
  );
  return saved.failed.length === 0 ? 0 : EXIT_CODES.backup;
}

function wishOf({ args, place }: Work): RecoveryWish {
  const project = args.value('project');
  return { place, latest: args.flag('latest'), ...(project === undefined ? {} : { project }) };
}

/** Looks at what is there, says what would be done, and asks. Changes nothing but the folder of the recovery. */
async function choose(work: Work): Promise<Recovery> {
  const { args, context, server, place, identityFile } = work;
  const { host } = server;
  const { paths, report, now } = context;
  const startedAt = now().toISOString();
  try {
    const { kit, manifest } = await withPlace(work, async (store) => {
      const kits = await findKits(store, placePrefix(place), args.value('project'), report);
      const folder = unpackedFolder(paths);
      const unpacked = await unpackNewest(host, store, kits, { folder, identityFile, report });
      // The files of a folder have the time at which they were copied.
      const isAsked = place.kind === 's3' && !args.flag('take-over');
      if (isAsked) await refuseStillWritten(store, unpacked.kit, now());
      return unpacked;
    });
    await refuseServerInUse(args, context, server, kit.project);
    const unpacked = underKit(paths);
    const settings = await readBackupSettings(host, unpacked);
    const asked = wishOf(work);
    const begun = { version: 1, startedAt, asked, kit, writer: manifest.writer } as const;
    const chosen: Recovery = { ...begun, data: [], step: 'chosen', done: [] };
    const contextFor = reader(work, chosen, settings, unpacked);
    const data: DataWish[] = await chooseData(
      settings,
      { writer: manifest.writer, identityFile: identityFile ?? '', latest: args.flag('latest') },
      contextFor,
    );
    const recovery = { ...chosen, data };
    await tellSmaller(context, server);
    const text = choiceText(recovery, await kitContents(host, paths), now());
    if (!args.flag('json')) context.io.out(text);
    await asker(args, context)('Set this server up from it?');
    await writeRecovery(host, paths, recovery);
    return recovery;
  } catch (error) {
    // The kit lies there readable to root.
    await endRecovery(host, paths);
    throw error;
  }
}

/** Before the question, of a machine with fewer processors than the config of the kit takes. */
async function tellSmaller({ paths, report }: CliContext, { host }: Server): Promise<void> {
  const loaded = await readKept(host, underKit(paths));
  if (loaded === undefined) return;
  for (const notice of fitToCores(loaded, (await hostFacts(host)).cores).notices) {
    report({ kind: 'warning', ...notice });
  }
}

/** Before this server takes requests: the other one, if it still runs somewhere, stores nothing more. */
async function tellOthers({ context, server }: Work, { writer }: Recovery): Promise<void> {
  const { host } = server;
  const { paths, report, now } = context;
  const unpacked = underKit(paths);
  const settings = await readBackupSettings(host, unpacked);
  const us = await writerIdentity(host, paths);
  for (const store of settings.stores) {
    try {
      const secret = (name: string) => readSecret(host, unpacked, name);
      const open = await openStore(store, secret, { host, paths });
      try {
        await takeOver(open, settings, us, [writer.id], now());
      } finally {
        open.close();
      }
    } catch (error) {
      if (!isStoreError(error)) throw error;
      report({
        kind: 'warning',
        code: 'restore/others-not-told',
        text: `${writer.host}, if it still runs, could not be told that it was replaced: ${error.message}`,
      });
    }
  }
}

/** Config, secrets and settings as the kit has them, before they stand where they belong. */
function underKit(paths: Paths): Paths {
  const kit = unpackedFolder(paths);
  return { ...paths, state: kit, stack: `${kit}/stack`, secrets: `${kit}/secrets` };
}

async function withPlace<T>(
  { place, access }: Work,
  use: (store: Store) => Promise<T>,
): Promise<T> {
  const store = await openPlace(place, access);
  try {
    return await use(store);
  } finally {
    store.close();
  }
}

/**
 * Reads what the jobs of the kit saved. What lay beside the kit is read from the place that was named, since the
 * bucket may have been copied; other stores are where the config says.
 */
function reader(
  { context, server, place, access }: Work,
  { kit }: Recovery,
  settings: BackupSettings,
  secretsIn: Paths,
): (job: BackupJob) => BackupContext {
  const { host, engine } = server;
  const { paths, report, now, signal } = context;
  const kitStore = findStore(
    settings,
    settings.jobs.find(({ name }) => name === kit.job)?.store ?? '',
  );
  return (job) => {
    const store = findStore(settings, job.store);
    const isThere = isSamePlace(store, kitStore);
    return {
      ...{ host, engine, paths, report, now, signal },
      settings: isThere ? { ...settings, prefix: kit.prefix } : settings,
      openStore: async (name) =>
        isThere && name === job.store
          ? await openPlace(place, access)
          : await openStore(findStore(settings, name), (secret) =>
              readSecret(host, secretsIn, secret),
            ),
    };
  };
}

function summary({ startedAt, kit, writer, done }: Recovery, now: Date) {
  const seconds = (now.getTime() - new Date(startedAt).getTime()) / 1000;
  return { kit: kit.id, project: kit.project, server: writer.host, startedAt, seconds, data: done };
}
