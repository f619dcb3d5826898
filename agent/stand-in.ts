import { LABELS } from '../installer/model/labels.ts';
import type { Paths } from '../installer/model/paths.ts';
import { NFT_REFUSED, RELAY_SERVICE, REMOVE_STAND_IN_TABLES } from '../installer/model/stand-in.ts';
import { fs } from './builtins.ts';
import { type Log, reasonOf } from './log.ts';
import { runProgram } from './reopen.ts';

/** The relay's stand-in hands everything on to this one's. */
const NGINX_SERVICE = 'nginx';

/** Runs a program and gives its standard output. */
export type Program = (file: string, argv: readonly string[]) => Promise<string>;

/**
 * Sends new connections where Docker sends them again when the stand-in that they went to is no more: an apply was
 * killed, and then its stand-in ended. One that runs goes on answering until the next apply; where only that of the
 * relay has ended it is started again, since nginx itself may not be there to take the connections over IPv4 back.
 */
export async function endLostDiversion(
  { standIn }: Pick<Paths, 'standIn'>,
  log: Log,
  run: Program = runProgram,
): Promise<void> {
  if (!fs.existsSync(standIn)) return;
  try {
    if ((await standIns(run, NGINX_SERVICE, 'running')).length > 0) {
      const ended = await standIns(run, RELAY_SERVICE, 'exited');
      if (ended.length === 0) return;
      await run('docker', ['container', 'start', ...ended]);
      log(`the stand-in of ${RELAY_SERVICE} had ended: it was started again`);
      return;
    }
    await removeTables(run);
    fs.rmSync(standIn, { force: true });
    log('the stand-in of nginx is gone: new connections go to nginx itself again');
  } catch (error) {
    // The next look tries again.
    log(`the stand-in of nginx cannot be looked after: ${reasonOf(error)}`);
  }
}

/** Ids. */
async function standIns(
  run: Program,
  service: string,
  status: 'running' | 'exited',
): Promise<string[]> {
  const filters = [`status=${status}`, `label=${LABELS.standIn}=${service}`];
  const listed = filters.flatMap((filter) => ['--filter', filter]);
  const text = await run('docker', ['ps', '--quiet', ...listed]);
  return text.split('\n').filter((line) => line !== '');
}

async function removeTables(run: Program): Promise<void> {
  const [nft, ...argv] = REMOVE_STAND_IN_TABLES;
  try {
    await run(nft, argv);
  } catch (error) {
    if (!NFT_REFUSED.test(reasonOf(error))) throw error;
  }
}
