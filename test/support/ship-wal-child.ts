import { type ShipOptions, shipWal } from '../../installer/backup/wal/ship-wal.ts';
import type { BackupSettings } from '../../installer/model/backup-settings.ts';
import { BackupStack, type StackIdentity } from './backup-stack.ts';

/**
 * Ships WAL in a process of its own, so that a test can kill it, until then.
 * Arguments: the stack, what of its settings is different, seconds between two passes.
 */
const stack = BackupStack.attach(JSON.parse(process.argv[2] ?? '{}') as StackIdentity);
const over = JSON.parse(process.argv[3] ?? '{}') as Partial<BackupSettings>;
const passSeconds = Number(process.argv[4]);
const options: ShipOptions = {
  lingerSeconds: 3_600,
  longestSeconds: 3_600,
  passSeconds,
  checkSeconds: 1,
};
const report = (event: { kind: string; text?: string }): void => {
  if (event.kind === 'warning') process.stderr.write(`ship-wal: ${event.text}\n`);
};
await shipWal(stack.context(over, { report }), options);
