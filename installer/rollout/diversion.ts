import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { REMOVE_STAND_IN_TABLE } from '../model/stand-in.ts';

type Place = { readonly host: Host; readonly paths: Pick<Paths, 'standIn'> };

const OWN = { mode: 0o600, uid: 0, gid: 0 };

/** Whether new connections may be on their way to a stand-in. */
export async function isDiverted({ host, paths }: Place): Promise<boolean> {
  return (await host.stat(paths.standIn)) !== undefined;
}

/** The mark comes first and goes last: rules without it would be found by nobody. */
export async function divert({ host, paths }: Place, rules: string): Promise<void> {
  await host.write(paths.standIn, rules, OWN);
  await host.run({ argv: ['nft', '--file', '-'], stdin: rules });
}

/** New connections go where Docker sends them again; those that the stand-in has stay with it. */
export async function endDiversion(place: Place): Promise<void> {
  if (!(await isDiverted(place))) return;
  await place.host.run({ argv: REMOVE_STAND_IN_TABLE });
  await place.host.remove(place.paths.standIn);
}
