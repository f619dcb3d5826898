import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import { withBackup } from '../../installer/backup/restore/choose-backup.ts';
import { restorePostgres } from '../../installer/backup/restore/restore-postgres.ts';
import { BackupStack, type StackIdentity } from './backup-stack.ts';

/** Restores the newest backup in a process of its own, so that a test can kill it; tells each step. */
const stack = BackupStack.attach(JSON.parse(process.argv[2] ?? '{}') as StackIdentity);
const context = stack.context(
  {},
  { report: (event) => process.stdout.write(`${JSON.stringify(event)}\n`) },
);
const wish = { kind: 'postgres', identityFile: restoreTestIdentityFile(stack.paths) } as const;
await withBackup(context, wish, (backup) =>
  restorePostgres(context, backup, { consent: async () => undefined }),
);
