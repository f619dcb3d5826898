import { RESTORE_TEST_RESULT } from '../../model/backup-result.ts';
import { CERTIFICATES_RESULT } from '../../model/certificates-result.ts';
import { DRILL_RESULT } from '../../model/drill-result.ts';
import { UPDATES_RESULT } from '../../model/updates-result.ts';
import { WAL_RESULT } from '../../model/wal-status.ts';
import type { BackupJobInput } from '../backups/section.ts';
import type { ConfigFile } from '../sections.ts';
import type { Provider } from '../storage/section.ts';
import { error, type Finding, type PathStep, warning } from './finding.ts';
import { didYouMean } from './nearest.ts';
import { parseBackupSource } from './resolve-backups.ts';
import type { BackupSource } from './resolved.ts';
import type { Declared, Rule } from './rule.ts';
import { knownProvider, own } from './storage.ts';
import { uniqueNames } from './unique-names.ts';

/** What a job leaves lies in a file of its name, beside these. */
const OWN_RESULTS: ReadonlySet<string> = new Set([
  CERTIFICATES_RESULT,
  DRILL_RESULT,
  RESTORE_TEST_RESULT,
  UPDATES_RESULT,
  WAL_RESULT,
]);

const ARCHIVE_CLASSES = new Set(['GLACIER', 'DEEP_ARCHIVE']);
const R2_CLASSES = new Set(['STANDARD', 'STANDARD_IA']);
/** Days that are paid also for what is removed before: the price lists of S3 and, for STANDARD_IA, of R2. */
const PAID_DAYS: Readonly<Record<string, number>> = {
  STANDARD_IA: 30,
  ONEZONE_IA: 30,
  GLACIER_IR: 90,
  GLACIER: 90,
  DEEP_ARCHIVE: 180,
};

/** Where backups go is there, and can do what is asked of it. */
export const backupTargetsFit: Rule = function* ({ file, config, declared }) {
  const { backups } = file;
  if (backups === undefined) return;
  if (backups.bucket !== undefined && backups.provider === 'local') {
    yield error(
      'bucket-without-provider',
      ['backups', 'bucket'],
      'needs backups.provider: a bucket is at a provider',
    );
  }
  yield* knownProvider(backups.provider, ['backups', 'provider'], declared.providers);
  const main = own(config.storage.providers, backups.provider);
  if (main !== undefined) {
    yield* needsBucket(main, backups.bucket, ['backups', 'provider']);
    yield* classFits(backups.storageClass, main, ['backups', 'storageClass']);
    yield* lockFits(backups.objectLock, main, ['backups', 'objectLock']);
  }
  for (const [index, job] of (backups.jobs ?? []).entries()) {
    const path = ['backups', 'jobs', index];
    if (job.provider !== undefined) {
      yield* knownProvider(job.provider, [...path, 'provider'], declared.providers);
    }
    const provider = own(config.storage.providers, job.provider ?? backups.provider);
    if (provider === undefined) continue;
    if (job.provider !== undefined) {
      yield* needsBucket(provider, backups.bucket, [...path, 'provider']);
    }
    yield* classFits(job.storageClass, provider, [...path, 'storageClass']);
    if (provider.kind !== 'directory') {
      yield* paidLonger(job, job.storageClass ?? backups.storageClass, [...path, 'keepRemote']);
    }
    if (job.objectLock !== undefined) {
      yield* lockFits(job.objectLock, provider, [...path, 'objectLock']);
    } else if (provider !== main) {
      yield* lockFits(backups.objectLock, provider, [...path, 'provider']);
    }
  }
  const isRemote = main !== undefined && main.kind !== 'directory';
  if (isRemote && backups.encryption === 'none') {
    yield warning(
      'backup-unencrypted',
      ['backups', 'encryption'],
      'leaves readable data with the provider: use age',
    );
  }
};

function* needsBucket(
  provider: Provider,
  bucket: string | undefined,
  path: readonly PathStep[],
): Generator<Finding> {
  if (provider.kind === 'directory' || bucket !== undefined) return;
  yield error('provider-without-bucket', path, `is of kind ${provider.kind}: needs backups.bucket`);
}

function* classFits(
  storageClass: string | undefined,
  provider: Provider,
  path: readonly PathStep[],
): Generator<Finding> {
  if (storageClass === undefined) return;
  if (provider.kind === 'directory') {
    yield error('directory-class', path, 'a directory has no storage classes');
  } else if (provider.kind === 'r2' && !R2_CLASSES.has(storageClass)) {
    yield error('r2-class', path, `R2 has no ${storageClass}: use STANDARD or STANDARD_IA`);
  } else if (ARCHIVE_CLASSES.has(storageClass)) {
    yield warning(
      'archive-class',
      path,
      `${storageClass} takes hours to read: a restore waits for it, and so does its test`,
    );
  }
}

function* paidLonger(
  { keep, keepRemote }: BackupJobInput,
  storageClass: string | undefined,
  path: readonly PathStep[],
): Generator<Finding> {
  const days = PAID_DAYS[storageClass ?? ''];
  if (days === undefined || keep !== undefined || keepRemote === undefined) return;
  if (keepRemote >= days * 86_400) return;
  const message = `${storageClass} is paid for ${days} days at least: keep it so long, or use STANDARD`;
  yield warning('paid-longer', path, message);
}

function* lockFits(
  lock: number | undefined,
  { kind }: Provider,
  path: readonly PathStep[],
): Generator<Finding> {
  if (lock === undefined || kind === 's3') return;
  const what = kind === 'r2' ? 'R2' : 'a directory';
  yield error(
    `${kind}-object-lock`,
    path,
    `${what} has no object lock: use an S3 provider that has, or leave objectLock out`,
  );
}

/** Each job saves something that is there, by a method that fits. */
export const jobsSaveSomething: Rule = function* ({ file, config, declared }) {
  const jobs = file.backups?.jobs ?? [];
  yield* uniqueNames(jobs, ['backups', 'jobs'], 'job');
  for (const [index, job] of jobs.entries()) {
    const path = ['backups', 'jobs', index];
    if (OWN_RESULTS.has(`${job.name}.json`)) {
      const message = `${job.name} is kept for a job of holdfast itself: choose another name`;
      yield error('job-name-taken', [...path, 'name'], message);
    }
    const source = parseBackupSource(job.source);
    yield* knownSource(source, job, [...path, 'source'], declared);
    yield* methodFits(source, job, [...path, 'method']);
    if (source.kind === 'appliance' && file.backups?.encryption === 'none') {
      yield error(
        'appliance-unencrypted',
        [...path, 'source'],
        'holds every secret of the server: needs backups.encryption: age',
      );
    }
    if (source.kind === 'backup') {
      yield* copyFits(source.name, job, [...path, 'provider'], file, config.storage.providers);
    }
    if (source.kind === 'accessory') {
      const accessory = own(file.accessories, source.name);
      if (accessory !== undefined && accessory.dump === undefined) {
        yield error('no-dump', [...path, 'source'], `accessory ${source.name} has no dump command`);
      }
    }
    if (job.keep !== undefined && job.keep.daily + job.keep.weekly + job.keep.monthly === 0) {
      yield error('keep-nothing', [...path, 'keep'], 'keeps nothing: set daily, weekly or monthly');
    }
  }
};

/** A copy lies under the names of what it was copied from: in another place, or it would be that. */
function* copyFits(
  name: string,
  job: BackupJobInput,
  path: readonly PathStep[],
  { backups }: ConfigFile,
  providers: Readonly<Record<string, Provider>>,
): Generator<Finding> {
  const from = backups?.jobs?.find((one) => one.name === name);
  if (backups === undefined || from === undefined || from === job) return;
  if (parseBackupSource(from.source).kind === 'backup') {
    yield error('copy-of-copy', path, `${name} copies too: name the job that makes the backups`);
    return;
  }
  const here = job.provider ?? backups.provider;
  const there = from.provider ?? backups.provider;
  const isSame = here === there || isSamePlace(own(providers, here), own(providers, there));
  if (!isSame) return;
  yield error('copy-to-same', path, `is where ${name} keeps its backups: name another provider`);
}

function isSamePlace(a: Provider | undefined, b: Provider | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  if (a.kind === 'directory' || b.kind === 'directory') {
    return a.kind === b.kind && 'path' in a && 'path' in b && a.path === b.path;
  }
  const isSameAccount = a.kind !== 'r2' || b.kind !== 'r2' || a.accountSecret === b.accountSecret;
  return a.kind === b.kind && a.endpoint === b.endpoint && a.region === b.region && isSameAccount;
}

function* knownSource(
  source: BackupSource,
  job: BackupJobInput,
  path: readonly PathStep[],
  declared: Declared,
): Generator<Finding> {
  switch (source.kind) {
    case 'appliance':
      return;
    case 'postgres':
    case 'redis':
      if (declared[source.kind]) return;
      yield error(
        'unknown-source',
        path,
        `no ${source.kind}: no service uses it and there is no section ${source.kind}`,
      );
      return;
    case 'volume':
      if (declared.volumes.includes(source.name)) return;
      yield error(
        'unknown-source',
        path,
        `no volume ${source.name}${didYouMean(source.name, declared.volumes)}`,
      );
      return;
    case 'backup':
      if (source.name === job.name) {
        yield error('copy-of-itself', path, 'is the job itself');
      } else if (!declared.jobs.includes(source.name)) {
        yield error(
          'unknown-source',
          path,
          `no job ${source.name}${didYouMean(source.name, declared.jobs)}`,
        );
      }
      return;
    case 'accessory': {
      if (declared.accessories.includes(source.name)) return;
      const known = ['postgres', 'redis', 'appliance', ...declared.accessories];
      yield error(
        'unknown-source',
        path,
        `no accessory ${source.name}${didYouMean(source.name, known)}`,
      );
    }
  }
}

const METHODS: Readonly<Record<BackupSource['kind'], readonly string[]>> = {
  postgres: ['logical', 'physical'],
  redis: ['archive'],
  appliance: ['archive'],
  volume: ['archive'],
  accessory: ['logical'],
  backup: ['copy'],
};

function* methodFits(
  source: BackupSource,
  job: BackupJobInput,
  path: readonly PathStep[],
): Generator<Finding> {
  const methods = METHODS[source.kind];
  if (job.method === undefined || methods.includes(job.method)) return;
  yield error(
    'method',
    path,
    `${job.source} is saved by ${methods.join(' or ')}, not by ${job.method}`,
  );
}
