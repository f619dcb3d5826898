import { keepMemorySmall } from '../installer/backup/lean-memory.ts';
import { restoreTestIdentityFile } from '../installer/backup/recovery-keys.ts';
import { restoreCluster } from '../installer/backup/restore/restore-cluster.ts';
import type { BackupSettings } from '../installer/model/backup-settings.ts';
import { BackupStack, type StackIdentity } from '../test/support/backup-stack.ts';

/**
 * Restores the newest moment up to where the question would stand, in a process whose memory can be measured. Without
 * words it is only compiled.
 */
const [identity, over] = process.argv.slice(2);
if (identity !== undefined && over !== undefined) {
  // As the command does.
  keepMemorySmall();
  const stack = BackupStack.attach(JSON.parse(identity) as StackIdentity);
  const context = stack.context(JSON.parse(over) as Partial<BackupSettings>);
  const { seconds } = await restoreCluster(context, {
    target: { kind: 'latest' },
    identityFile: restoreTestIdentityFile(stack.paths),
    consent: async () => undefined,
    swap: async () => ({ kept: '' }),
  });
  process.stdout.write(`${JSON.stringify({ seconds })}\n`);
  await stack.engine.close();
}
