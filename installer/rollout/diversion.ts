import { CommandError } from '../host/command-error.ts';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import {
  LOOK_FOR_STAND_IN_TABLE,
  NFT_REFUSED,
  REMOVE_STAND_IN_TABLE,
  REMOVE_STAND_IN_TABLES,
} from '../model/stand-in.ts';

type Place = { readonly host: Host; readonly paths: Pick<Paths, 'standIn'> };

const OWN = { mode: 0o600, uid: 0, gid: 0 };

/** Whether new connections go to a stand-in. The mark alone does not tell: a run may have been killed right after it. */
export async function isDiverted(place: Place): Promise<boolean> {
  if (!(await isMarked(place))) return false;
  const { exitCode } = await place.host.run({
    argv: LOOK_FOR_STAND_IN_TABLE,
    okExitCodes: [0, 1],
  });
  return exitCode === 0;
}

async function isMarked({ host, paths }: Place): Promise<boolean> {
  return (await host.stat(paths.standIn)) !== undefined;
}

/** The mark comes first and goes last: rules without it would be found by nobody. */
export async function divert({ host, paths }: Place, rules: string): Promise<void> {
  await host.write(paths.standIn, rules, OWN);
  try {
    await host.run({ argv: ['nft', '--file', '-'], stdin: rules });
  } catch (error) {
    // They are loaded in one step: when nft says no, none of them is there.
    if (error instanceof CommandError && error.reason === 'exit') await host.remove(paths.standIn);
    throw error;
  }
}

/** New connections go where Docker sends them again; those that the stand-in has stay with it. */
export async function stopDiverting(place: Place): Promise<void> {
  if (await isMarked(place)) await remove(place, REMOVE_STAND_IN_TABLE);
}

/** Nothing is left of it. Connections that a stand-in over IPv6 still has are reset. */
export async function endDiversion(place: Place): Promise<void> {
  if (!(await isMarked(place))) return;
  await remove(place, REMOVE_STAND_IN_TABLES);
  await place.host.remove(place.paths.standIn);
}

async function remove({ host }: Place, argv: readonly [string, ...string[]]): Promise<void> {
  try {
    await host.run({ argv });
  } catch (error) {
    if (!(error instanceof CommandError && NFT_REFUSED.test(error.stderr))) throw error;
  }
}
