import type { BackupJobInput } from '../backups/section.ts';
import type { Provider } from '../storage/section.ts';
import { error, type Finding, type PathStep, warning } from './finding.ts';
import { didYouMean } from './nearest.ts';
import { parseBackupSource } from './resolve-backups.ts';
import type { BackupSource } from './resolved.ts';
import type { Declared, Rule } from './rule.ts';
import { knownProvider, own } from './storage.ts';
import { uniqueNames } from './unique-names.ts';

const ARCHIVE_CLASSES = new Set(['GLACIER', 'DEEP_ARCHIVE']);
const R2_CLASSES = new Set(['STANDARD', 'STANDARD_IA']);

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

/** Each job saves something that is there, by a method that fits. */
export const jobsSaveSomething: Rule = function* ({ file, declared }) {
  const jobs = file.backups?.jobs ?? [];
  yield* uniqueNames(jobs, ['backups', 'jobs'], 'job');
  for (const [index, job] of jobs.entries()) {
    const path = ['backups', 'jobs', index];
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
