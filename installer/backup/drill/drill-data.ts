import { posix } from 'node:path';
import type { BackupJob, BackupSource } from '../../model/backup-settings.ts';
import type { DrillReport } from '../../model/drill-result.ts';
import type { BackupContext } from '../context.ts';
import { helperImage, removeHelpers, VOLUME_MOUNT } from '../helper-container.ts';
import type { PostgresServer } from '../psql.ts';
import { type OpenBackup, readObject, readText } from '../read-object.ts';
import { restoreTestIdentityFile } from '../recovery-keys.ts';
import { checkCluster } from '../restore/check-cluster.ts';
import { checkDatabase } from '../restore/check-database.ts';
import { withBackup } from '../restore/choose-backup.ts';
import { basesFor } from '../restore/choose-base.ts';
import { databasesOf } from '../restore/chosen-databases.ts';
import { proofName } from '../restore/database-names.ts';
import { layDown } from '../restore/lay-down.ts';
import { stopRecovered } from '../restore/recover-cluster.ts';
import { withStore } from '../restore/restore-cluster.ts';
import { restoreDatabase } from '../restore/restore-database.ts';
import { restoreEffort } from '../restore/restore-effort.ts';
import { onlyObject, REDIS_TREE, UNTAR } from '../restore/restore-files.ts';
import { readGlobals, restoreRoles } from '../restore/restore-roles.ts';
import { fetchForward, fromBestBase, requireRoom, rollForward } from '../restore/roll-forward.ts';
import { FILL_CAPABILITIES } from '../restore/volume-swap.ts';
import { requireNoHole } from '../restore/wal-hole.ts';
import { parseCatalog } from '../sources/catalog.ts';
import { decompress } from '../zstd.ts';
import type { DrillStack } from './drill-stack.ts';
import { DRILL_TASK, drillFolder } from './remove-drill.ts';

type Restored = DrillReport['data'][number];

export interface DataRequest {
  readonly stack: DrillStack;
  /** Options of `docker run` that hold the work down. */
  readonly limits: readonly string[];
}

const POSTGRES_DATA = '/var/lib/postgresql/data';
const REDIS_DATA = '/data';
// A new volume belongs to root; `$2` is whoever Redis runs as.
const REDIS_VOLUME = `${REDIS_TREE}\nchown -R "$2" "$1"`;

/** The newest point in time into the drill's own volume. Nothing is read but the store. */
export async function bringCluster(
  context: BackupContext,
  { stack, limits }: DataRequest,
): Promise<Restored> {
  const wish = {
    target: { kind: 'latest' as const },
    identityFile: restoreTestIdentityFile(context.paths),
    proveStore: true,
  };
  const engineName = stack.volumeAt('postgres', POSTGRES_DATA) ?? '';
  const request = {
    task: DRILL_TASK,
    volume: { name: engineName, engineName },
    walFolder: posix.join(drillFolder(context), 'wal'),
    limits,
    wish,
    progress: (text: string) => context.report({ kind: 'progress', id: DRILL_TASK, text }),
  };
  const { host, engine, settings } = context;
  return await withStore(context, async (job, store) => {
    const candidates = await basesFor(context, job, store, wish);
    const { result } = await fromBestBase(context, candidates, wish.target, async (forward) => {
      requireNoHole(forward);
      await removeHelpers(host, engine, settings.project, DRILL_TASK);
      await emptyVolume(context, stack, engineName);
      await requireRoom(context, forward);
      const fetched = await fetchForward(context, store, forward, request);
      const { server } = await rollForward(context, forward, request, fetched);
      await checkCluster(server);
      await stopRecovered(context, server.container);
      await removeHelpers(host, engine, settings.project, DRILL_TASK);
      return forward.backup.manifest.id;
    });
    return { what: 'postgres', from: `${result} and its WAL` };
  });
}

/** The newest dumps into the drill's own Postgres, which runs and is empty. */
export async function bringDumps(
  context: BackupContext,
  server: PostgresServer,
): Promise<Restored> {
  return await withBackup(context, wishFor(context, 'postgres'), async (backup) => {
    await restoreRoles(server, await readGlobals(backup));
    const effort = await restoreEffort(server);
    for (const { database, object, catalog: described } of databasesOf(backup.manifest, {})) {
      const catalog = parseCatalog(await readText(backup, described));
      const common = { server, backup, object, catalog, effort, foreignServer: true };
      const target = proofName(database);
      await restoreDatabase({ ...common, target });
      await checkDatabase(server, target, catalog);
    }
    return { what: 'postgres', from: backup.manifest.id };
  });
}

/** Volumes of the product and the data of Redis, each from the newest backup; what no job saves stays empty. */
export async function bringFiles(
  context: BackupContext,
  request: DataRequest,
): Promise<readonly Restored[]> {
  const { engine, settings } = context;
  const { stack } = request;
  const image = await helperImage(engine, settings.project, settings.postgres?.image);
  const redis = stack.volumeAt('redis', REDIS_DATA);
  const jobs = newestJobs(settings.jobs);
  const done: Restored[] = [];
  for (const [live, own] of stack.volumes) {
    if (own === stack.volumeAt('postgres', POSTGRES_DATA)) continue;
    const what = own === redis ? 'redis' : `volume ${own.slice(stack.project.length + 1)}`;
    const job = jobs.find(({ source }) =>
      own === redis ? source.kind === 'redis' : source.kind === 'volume' && source.volume === live,
    );
    await emptyVolume(context, stack, own);
    if (job === undefined) {
      done.push({ what, from: whyEmpty(jobs, stack.usersOf(own)) });
      continue;
    }
    const fill =
      own === redis
        ? { script: REDIS_VOLUME, ...containerOf(stack, 'redis') }
        : { script: UNTAR, image, user: '' };
    const wish = { ...wishFor(context, job.source.kind), job: job.name };
    const from = await withBackup(context, wish, async (backup) => {
      await layDown(
        {
          project: settings.project,
          task: DRILL_TASK,
          image: fill.image,
          argv: ['sh', '-eu', '-c', fill.script, 'sh', VOLUME_MOUNT, fill.user],
          volume: { name: own, readOnly: false },
          capabilities: FILL_CAPABILITIES,
          limits: request.limits,
        },
        contentOf(backup),
        `the files of ${what}`,
      );
      return backup.manifest.id;
    });
    done.push({ what, from });
  }
  return done;
}

function whyEmpty(jobs: readonly BackupJob[], users: readonly string[]): string {
  const job = jobs.find(({ source }) => source.kind === 'accessory' && users.includes(source.name));
  return job === undefined
    ? 'no job saves it: empty'
    : `a drill does not load the dumps of ${job.name}: empty`;
}

function contentOf(backup: OpenBackup): AsyncIterable<Uint8Array> {
  const { manifest } = backup;
  return manifest.source.kind === 'redis'
    ? readObject(backup, onlyObject(manifest, 'redis'))
    : decompress(readObject(backup, onlyObject(manifest, 'volume')));
}

/** The first job of each source: the others keep the same for longer. */
function newestJobs(jobs: readonly BackupJob[]): readonly BackupJob[] {
  return jobs.filter(({ method }) => method !== 'physical');
}

function containerOf(
  { services }: DrillStack,
  service: string,
): { readonly image: string; readonly user: string } {
  const { image = '', user = '0:0' } = services.find(({ name }) => name === service) ?? {};
  return { image, user };
}

function wishFor({ paths }: BackupContext, kind: BackupSource['kind']) {
  return { kind, identityFile: restoreTestIdentityFile(paths), proveStore: true };
}

/** Marked as compose marks its own, by which it is found and removed. */
async function emptyVolume(
  { host }: BackupContext,
  { project }: DrillStack,
  name: string,
): Promise<void> {
  const labels = { project, volume: name.slice(project.length + 1) };
  await host.run({ argv: ['docker', 'volume', 'rm', '--force', name] });
  await host.run({
    argv: [
      'docker',
      ...['volume', 'create'],
      ...Object.entries(labels).flatMap(([key, value]) => [
        '--label',
        `com.docker.compose.${key}=${value}`,
      ]),
      name,
    ],
  });
}
