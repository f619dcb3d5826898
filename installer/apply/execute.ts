import type { Operation } from '../model/operation.ts';
import { retireRelease } from '../rollout/retire-release.ts';
import { retireStandIn } from '../rollout/stand-in.ts';
import { backUp } from './back-up.ts';
import { removeContainers, startServices } from './containers.ts';
import { describeOperation } from './describe.ts';
import { bakeImages, buildImage, pullImage, removeImages } from './images.ts';
import { changeNetwork } from './networks.ts';
import { hostCommand, isOnlyTold, provision, reload, restart } from './reactions.ts';
import { type Run, stopIfInterrupted } from './run.ts';
import { makeRelease, removeReleases, removeSite, switchSite } from './sites.ts';
import { storeSecret } from './store-secret.ts';
import { upgradePostgres } from './upgrade/upgrade.ts';
import {
  declareFileChanges,
  makeDirectory,
  recordWrites,
  removeFile,
  writeFile,
} from './write-files.ts';

/** Carries out operations in the order given; decides nothing. */
export async function execute(run: Run, operations: readonly Operation[]): Promise<void> {
  const firstFileChange = operations.findIndex(
    ({ kind }) => kind === 'write-file' || kind === 'remove-file',
  );
  const lastWrite = operations.findLastIndex(({ kind }) => kind === 'write-file');
  for (const [index, operation] of operations.entries()) {
    stopIfInterrupted(run);
    if (index === firstFileChange) await declareFileChanges(run, operations);
    const isDone = await reported(run, operation);
    if (index === lastWrite) await recordWrites(run);
    if (isDone) run.done.push(operation.id);
  }
}

/** @returns false where it failed and the others are carried out all the same */
async function reported(run: Run, operation: Operation): Promise<boolean> {
  const { id } = operation;
  const start = run.clock.elapsed();
  const seconds = (): number => (run.clock.elapsed() - start) / 1000;
  run.report({ kind: 'start', id, text: describeOperation(operation) });
  try {
    await carryOut(run, operation);
  } catch (error) {
    run.report({ kind: 'end', id, result: 'failed', seconds: seconds() });
    const failure = operation.kind === 'host-command' ? operation.failure : undefined;
    if (isOnlyTold(run, failure, error)) return false;
    throw error;
  }
  run.report({ kind: 'end', id, result: 'done', seconds: seconds() });
  return true;
}

async function carryOut(run: Run, operation: Operation): Promise<void> {
  switch (operation.kind) {
    case 'back-up':
      return backUp(run);
    case 'store-secret':
      return storeSecret(run, operation);
    case 'make-directory':
      return makeDirectory(run, operation);
    case 'bake-images':
      return bakeImages(run, operation);
    case 'pull-image':
      return pullImage(run, operation);
    case 'build-image':
      return buildImage(run, operation);
    case 'make-release':
      return makeRelease(run, operation);
    case 'switch-site':
      return switchSite(run, operation);
    case 'remove-releases':
      return removeReleases(run, operation);
    case 'remove-site':
      return removeSite(run, operation);
    case 'write-file':
      return writeFile(run, operation);
    case 'remove-file':
      return removeFile(run, operation);
    case 'upgrade-postgres':
      return upgradePostgres(run);
    case 'compose-up':
      return startServices(run, operation);
    case 'retire-release':
      return retireRelease(run, operation);
    case 'retire-stand-in':
      return retireStandIn(run, operation.service);
    case 'remove-containers':
      return removeContainers(run, operation);
    case 'create-network':
    case 'connect-network':
    case 'disconnect-network':
    case 'remove-network':
      return changeNetwork(run, operation);
    case 'remove-images':
      return removeImages(run, operation);
    case 'reload':
      return reload(run, operation);
    case 'restart':
      return restart(run, operation);
    case 'provision':
      return provision(run, operation);
    case 'host-command':
      return hostCommand(run, operation);
  }
}
