import type { Engine } from '../engine/engine.ts';
import type { Host } from '../host/host.ts';
import type { BackupSettings } from '../model/backup-settings.ts';
import type { Report } from '../model/events.ts';
import type { Paths } from '../model/paths.ts';
import type { Store } from './store/store.ts';

/** What every backup verb needs. It runs on the server itself, as root. */
export interface BackupContext {
  readonly host: Host;
  readonly engine: Engine;
  readonly paths: Paths;
  readonly settings: BackupSettings;
  readonly report: Report;
  readonly now: () => Date;
  /** Ends a backup at its next bytes, as a failure that takes back what it stored. */
  readonly signal?: AbortSignal;
  /** The store of that name in the settings; the caller closes it. */
  readonly openStore: (name: string) => Promise<Store>;
}
