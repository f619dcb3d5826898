import { LABELS } from '../installer/model/labels.ts';
import type { Paths } from '../installer/model/paths.ts';
import { NFT_REFUSED, REMOVE_STAND_IN_TABLES } from '../installer/model/stand-in.ts';
import { fs } from './builtins.ts';
import { type Log, reasonOf } from './log.ts';
import { runProgram } from './reopen.ts';

/** The relay's stand-in takes nothing by itself. */
const NGINX_SERVICE = 'nginx';

/** Runs a program and gives its standard output. */
export type Program = (file: string, argv: readonly string[]) => Promise<string>;

/**
 * Sends new connections where Docker sends them again when the stand-in that they went to is no more: an apply was
 * killed, and then its stand-in ended. One that runs goes on answering until the next apply.
 */
export async function endLostDiversion(
  { standIn }: Pick<Paths, 'standIn'>,
  log: Log,
  run: Program = runProgram,
): Promise<void> {
  if (!fs.existsSync(standIn)) return;
  try {
    const listed = ['ps', '--quiet', '--filter', 'status=running', '--filter'];
    if (
      (await run('docker', [...listed, `label=${LABELS.standIn}=${NGINX_SERVICE}`])).trim() !== ''
    )
      return;
    await removeTables(run);
    fs.rmSync(standIn, { force: true });
    log('the stand-in of nginx is gone: new connections go to nginx itself again');
  } catch (error) {
    // The next look tries again.
    log(`the stand-in of nginx cannot be looked after: ${reasonOf(error)}`);
  }
}

async function removeTables(run: Program): Promise<void> {
  const [nft, ...argv] = REMOVE_STAND_IN_TABLES;
  try {
    await run(nft, argv);
  } catch (error) {
    if (!NFT_REFUSED.test(reasonOf(error))) throw error;
  }
}
