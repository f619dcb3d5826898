import type { AgentJob } from '../../model/agent-settings.ts';
import type {
  BackupJob,
  BackupSettings,
  BackupSource,
  BackupStore,
  PitrSettings,
  Retention,
} from '../../model/backup-settings.ts';
import type { Contribution, Notice } from '../../model/contribution.ts';
import { minutesOfDay } from '../../model/maintenance-window.ts';
import type { SecretNeed } from '../../model/secret-need.ts';
import type { Collected, Component, ComponentInput } from '../component.ts';
import { availableImage } from '../platform-image.ts';
import { SUPERUSER, WAL_SLOT } from '../postgres/names.ts';
import { hasPitr } from '../postgres/wal-receiver.ts';
import type { BackupJob as WantedJob } from '../rules/resolved.ts';
import type { Config } from '../sections.ts';
import { RESTORE_TEST_IDENTITY } from './names.ts';
import { backupStore, holdsAccount, storeSecrets } from './stores.ts';

const HOUR = 3_600;
/** After so long the agent ends a run, seconds: enough for some hundred GB at the speed of a small server's disk. */
export const BACKUP_TIMEOUT = 12 * HOUR;
const JITTER = 5 * 60;

/** Saturday or the second of the month, at an hour when no job of the presets runs. */
const DRILL_CRON = {
  weekly: '0 8 * * 6',
  monthly: '0 8 2 * *',
  quarterly: '0 8 2 1,4,7,10 *',
  yearly: '0 8 2 1 *',
} as const;

/** Backups: what the agent runs and where it goes. The work itself is done by `holdfast backup`. */
export const backups: Component = {
  id: 'backups',
  enabled: () => true,

  needs: (config) => ({
    secrets: [...restoreTestKey(config), ...storeSecrets(config), ...pingSecrets(config)],
  }),

  collect(input, collected): Contribution {
    const settings = backupSettings(input, collected);
    return {
      files: [
        {
          path: 'agent/backup.json',
          component: 'backups',
          content: { text: `${JSON.stringify(settings, undefined, 2)}\n` },
          secret: holdsAccount(input.config),
        },
      ],
      notices: notices(input.config, settings),
    };
  },
};

/** The second reader of every backup: it lives here, so that restores can be tested without the user. */
function restoreTestKey(config: Config): SecretNeed[] {
  if (config.backups.encryption !== 'age') return [];
  const generate = { kind: 'age-identity' } as const;
  return [{ name: RESTORE_TEST_IDENTITY, generate, optional: false, usedBy: 'backups' }];
}

function pingSecrets(config: Config): SecretNeed[] {
  return config.backups.jobs.flatMap(({ ping, name }) =>
    ping === undefined ? [] : [{ name: ping, optional: false, usedBy: `backups.jobs.${name}` }],
  );
}

export function backupSettings(input: ComponentInput, collected: Collected): BackupSettings {
  const { config } = input;
  const { project, postgres, redis, objectives, timezone } = config;
  const wish = config.backups;
  const sources = allSources(config, collected);
  const jobs = wish.jobs.flatMap((job) => backupJob(job, sources, config));
  const pitr = pitrSettings(input, jobs);
  const stores = new Map<string, BackupStore>();
  for (const { storageClass, provider } of wish.jobs) {
    const store = backupStore(input, provider, storageClass);
    stores.set(store.name, store);
  }
  const image = availableImage(input, 'postgres');
  return {
    version: 1,
    project,
    prefix: wish.prefix.replace(/^\/+|\/+$/g, ''),
    timezone,
    stores: [...stores.values()],
    jobs,
    recipients: wish.recipients,
    encryption: wish.encryption,
    readBack: wish.verify.afterUpload,
    ...(holdsPostgres(jobs) ? { restoreTestCron: wish.verify.restoreTest } : {}),
    assertions: wish.verify.assertions,
    ...(wish.drill === undefined ? {} : { drillCron: DRILL_CRON[wish.drill.every] }),
    objectives: {
      ...(objectives?.rto === undefined ? {} : { rto: objectives.rto }),
      ...(objectives?.rpo === undefined ? {} : { rpo: objectives.rpo }),
    },
    ...(postgres === undefined || image === undefined
      ? {}
      : {
          postgres: {
            container: `${project}-postgres-1`,
            image: image.reference,
            superuser: SUPERUSER,
          },
        }),
    ...(redis === undefined ? {} : { redis: { container: `${project}-redis-1` } }),
    ...(pitr === undefined ? {} : { pitr }),
  };
}

/** Postgres speaks in the second round like this component, so its databases are gathered here as it does. */
function allSources(config: Config, collected: Collected): BackupSource[] {
  const databases = [
    ...(config.postgres?.databases ?? []),
    ...collected.databases.map(({ database }) => database),
  ];
  return [
    ...(config.postgres === undefined
      ? []
      : [{ kind: 'postgres' as const, databases: [...new Set(databases)].sort() }]),
    ...(config.redis === undefined ? [] : [{ kind: 'redis' as const }]),
    { kind: 'appliance' as const },
    ...collected.backups.filter(({ kind }) => kind === 'volume' || kind === 'accessory'),
  ];
}

/** One job of the file, or none where nothing carries it out yet; the plan says so elsewhere. */
function backupJob(job: WantedJob, sources: readonly BackupSource[], config: Config): BackupJob[] {
  const isPhysical = job.method === 'physical';
  if (isPhysical && !hasPitr(config)) return [];
  const source =
    job.source.kind === 'backup'
      ? job.source
      : sources.find((candidate) => {
          if (candidate.kind !== job.source.kind) return false;
          return (
            !('name' in job.source && 'name' in candidate) || candidate.name === job.source.name
          );
        });
  if (source === undefined) return [];
  return [
    {
      name: job.name,
      source,
      ...(isPhysical ? { method: 'physical' as const } : {}),
      cron: job.cron,
      store: storeName(job),
      keepRemote: retention(job),
      ...(job.keepLocal === undefined ? {} : { keepLocalSeconds: job.keepLocal }),
      ...lockOf(job, config),
      ...(job.ping === undefined ? {} : { pingSecret: job.ping }),
    },
  ];
}

function lockOf({ objectLock }: WantedJob, { backups }: Config): Pick<BackupJob, 'lockSeconds'> {
  const seconds = objectLock ?? backups.objectLock;
  return seconds === undefined ? {} : { lockSeconds: seconds };
}

function storeName({ provider, storageClass }: WantedJob): string {
  return storageClass === undefined ? provider : `${provider}-${storageClass.toLowerCase()}`;
}

function retention({ keep, keepRemote }: WantedJob): Retention {
  return {
    ...(keepRemote === undefined ? {} : { keepSeconds: keepRemote }),
    ...(keep === undefined
      ? {}
      : { daily: keep.daily, weekly: keep.weekly, monthly: keep.monthly }),
  };
}

function saves({ jobs }: BackupSettings, kind: BackupSource['kind']): boolean {
  return jobs.some(({ source }) => source.kind === kind);
}

/** The restore test is of dumps and of base backups. */
function holdsPostgres(jobs: readonly BackupJob[]): boolean {
  return jobs.some(({ source }) => source.kind === 'postgres');
}

/** The first job of base backups is the one that the WAL goes with. */
function pitrSettings(
  { config, paths }: ComponentInput,
  jobs: readonly BackupJob[],
): PitrSettings | undefined {
  const pitr = config.postgres?.pitr;
  const base = jobs.find(({ method }) => method === 'physical');
  if (pitr === undefined || base === undefined) return undefined;
  return {
    job: base.name,
    store: base.store,
    rpoSeconds: pitr.rpo,
    windowSeconds: pitr.window,
    ...(pitr.maxRate === undefined ? {} : { maxRate: pitr.maxRate }),
    folder: paths.wal,
    slot: WAL_SLOT,
  };
}

/** What the agent starts: one job per backup, the restore test, and the drill. */
export function backupAgentJobs(
  settings: BackupSettings,
  window: Config['backups']['window'],
): AgentJob[] {
  const inWindow =
    window === undefined
      ? {}
      : { window: { from: minutesOfDay(window.from), to: minutesOfDay(window.to) } };
  const runs = settings.jobs.map(
    ({ name, cron, pingSecret }): AgentJob => ({
      id: `backup-${name}`,
      argv: ['backup', 'run', name],
      cron,
      jitterSeconds: JITTER,
      catchUp: true,
      timeoutSeconds: BACKUP_TIMEOUT,
      ...inWindow,
      ...(pingSecret === undefined ? {} : { pingSecret }),
    }),
  );
  const proof = (id: string, cron: string): AgentJob => ({
    id,
    argv: ['backup', id],
    cron,
    jitterSeconds: JITTER,
    catchUp: true,
    timeoutSeconds: BACKUP_TIMEOUT,
    ...inWindow,
  });
  const { restoreTestCron, drillCron } = settings;
  return [
    ...runs,
    ...(restoreTestCron === undefined ? [] : [proof('restore-test', restoreTestCron)]),
    ...(drillCron === undefined ? [] : [proof('drill', drillCron)]),
  ];
}

function notices(config: Config, settings: BackupSettings): Notice[] {
  const found: Notice[] = [];
  const isLocalOnly = settings.stores.every((store) => store.kind === 'directory');
  if (settings.jobs.length > 0 && isLocalOnly) {
    found.push({
      code: 'backups/local-only',
      text: 'Backups stay on this machine: they protect against mistakes, not against losing the disk. Set backups.provider to a bucket elsewhere.',
    });
  }
  if (settings.encryption === 'age' && settings.recipients.length === 0 && !isLocalOnly) {
    found.push({
      code: 'backups/no-recovery-key',
      text: 'No recovery key: only this machine can read its backups, and they are lost with it. Make one with `age-keygen` elsewhere and put its public key into backups.recipients.',
    });
  }
  if (config.postgres !== undefined && !saves(settings, 'postgres')) {
    found.push({
      code: 'backups/postgres-uncovered',
      text: 'No job saves Postgres: add one with `source: postgres` to backups.jobs.',
    });
  }
  if (config.redis?.purpose === 'queue' && !saves(settings, 'redis')) {
    found.push({
      code: 'backups/redis-uncovered',
      text: 'No job saves Redis, which holds queues: add one with `source: redis` to backups.jobs.',
    });
  }
  if (!isLocalOnly && !saves(settings, 'appliance')) {
    found.push({
      code: 'backups/no-kit',
      text: 'No job saves what a blank server is set up from (config, secrets, certificates): add one with `source: appliance` to backups.jobs.',
    });
  }
  return found;
}
