import { runDrill } from '../../installer/backup/drill/drill.ts';
import type { WatchedService } from '../../installer/model/agent-settings.ts';
import type { BackupSettings } from '../../installer/model/backup-settings.ts';
import { BackupStack, type StackIdentity } from './backup-stack.ts';

/**
 * A drill in a process of its own, so that a test can kill it.
 * Arguments: the stack, what of its settings is different, the services of the product.
 */
const [identity = '{}', over = '{}', services = '[]'] = process.argv.slice(2);
const stack = BackupStack.attach(JSON.parse(identity) as StackIdentity);
await runDrill(stack.context(JSON.parse(over) as Partial<BackupSettings>), {
  services: JSON.parse(services) as WatchedService[],
  keep: false,
});
