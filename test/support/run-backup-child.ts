import { runBackup } from '../../installer/backup/run-backup.ts';
import type { BackupSettings } from '../../installer/model/backup-settings.ts';
import { BackupStack, type StackIdentity } from './backup-stack.ts';

/**
 * Makes a backup in a process of its own, so that a test can kill it; says `dumping` when the first bytes
 * have come, and goes no further.
 * Arguments: the stack, what of its settings is different, and the job.
 */
const stack = BackupStack.attach(JSON.parse(process.argv[2] ?? '{}') as StackIdentity);
const over = JSON.parse(process.argv[3] ?? '{}') as Partial<BackupSettings>;
const context = stack.context(over);
const openStore: typeof context.openStore = async (name) => {
  const store = await context.openStore(name);
  const put = store.put.bind(store);
  store.put = async (key, body, expected) => {
    async function* told(): AsyncGenerator<Uint8Array> {
      for await (const chunk of body) {
        yield chunk;
        if (/\.(?:dump|tar)/.test(key)) await killed();
      }
    }
    await put(key, told(), expected);
  };
  return store;
};
await runBackup({ ...context, openStore }, process.argv[4] ?? 'daily');

function killed(): Promise<never> {
  process.stdout.write('dumping\n');
  return new Promise(() => setInterval(() => undefined, 60_000));
}
