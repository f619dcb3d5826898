import { runBackup } from '../../installer/backup/run-backup.ts';
import { BackupStack, type StackIdentity } from './backup-stack.ts';

/** Makes a backup in a process of its own, so that a test can kill it; says `dumping` when the first bytes come. */
const stack = BackupStack.attach(JSON.parse(process.argv[2] ?? '{}') as StackIdentity);
const context = stack.context();
const openStore: typeof context.openStore = async (name) => {
  const store = await context.openStore(name);
  const put = store.put.bind(store);
  store.put = async (key, body, expected) => {
    async function* told(): AsyncGenerator<Uint8Array> {
      for await (const chunk of body) {
        if (key.includes('.dump')) process.stdout.write('dumping\n');
        yield chunk;
      }
    }
    await put(key, told(), expected);
  };
  return store;
};
await runBackup({ ...context, openStore }, process.argv[3] ?? 'daily');
