import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import { withBackup } from '../../installer/backup/restore/choose-backup.ts';
import { restoreVolume } from '../../installer/backup/restore/restore-files.ts';
import type { BackupSettings } from '../../installer/model/backup-settings.ts';
import { BackupStack, type StackIdentity } from './backup-stack.ts';

/**
 * Restores the newest backup of a volume in a process of its own, so that a test can kill it.
 * Arguments: the stack, and what of its settings is different.
 */
const stack = BackupStack.attach(JSON.parse(process.argv[2] ?? '{}') as StackIdentity);
const context = stack.context(JSON.parse(process.argv[3] ?? '{}') as Partial<BackupSettings>);
const wish = { kind: 'volume', identityFile: restoreTestIdentityFile(stack.paths) } as const;
await withBackup(context, wish, (backup) =>
  restoreVolume(context, backup, {
    consent: async () => undefined,
    holdServer: (work) => work(),
  }),
);
