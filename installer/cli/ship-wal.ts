import { shipOptions, shipWal } from '../backup/wal/ship-wal.ts';
import { noPitr, stillWaiting } from '../backup/wal/wal-errors.ts';
import { backupContext } from './backup-context.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';

/** `holdfast backup ship-wal`: until nothing has moved for two minutes. */
export async function backupShipWal(_args: ParsedArguments, context: CliContext): Promise<number> {
  const backup = await backupContext(context);
  const { pitr } = backup.settings;
  if (pitr === undefined) throw noPitr();
  const { shippedThrough, failure } = await shipWal(backup, shipOptions(pitr.rpoSeconds));
  if (failure !== undefined) throw stillWaiting(failure);
  context.io.out(
    `All WAL is in the store${shippedThrough === undefined ? '' : `, through ${shippedThrough}`}.\n`,
  );
  return 0;
}
