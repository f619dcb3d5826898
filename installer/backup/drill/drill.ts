import { posix } from 'node:path';
import { AppError } from '../../errors.ts';
import type { WatchedService } from '../../model/agent-settings.ts';
import type { DrilledService, DrillReport } from '../../model/drill-result.ts';
import { LABELS } from '../../model/labels.ts';
import type { BackupContext } from '../context.ts';
import { exclusively } from '../exclusive.ts';
import { helperImage } from '../helper-container.ts';
import { diskRate } from '../restore/disk-rate.ts';
import { lastRun, recordDrill } from '../results.ts';
import { checkText, untilWell } from './ask-drilled.ts';
import { bringCluster, bringDumps, bringFiles } from './drill-data.ts';
import { DRILL_LABEL, type DrillStack, drillStack } from './drill-stack.ts';
import { DRILL_TASK, drillFolder, removeDrill } from './remove-drill.ts';
import { requireMemory } from './require-memory.ts';

/** One processor, and of the others' time an eighth of what a container gets when all want some. */
const CPU = ['--cpus', '1', '--cpu-shares', '128'];
const UP_SECONDS = 900;
const WELL_SECONDS = 300;

export interface DrillWish {
  /** How the agent asks the services of the product. */
  readonly services: readonly WatchedService[];
  /** Leaves the recovered product standing, for a look. */
  readonly keep: boolean;
  /** How long a service may take to be well, seconds; 300 when absent. */
  readonly wellSeconds?: number;
}

/**
 * Rehearses the loss of this server: data from the store alone, in a stack of its own that reaches nothing, with the
 * images and secrets of now, until the product is healthy. Everything of it is removed afterwards; what a killed
 * one left goes first.
 * @throws AppError `health/drill`; classes `restore`, `backup`, `store`, `preflight`
 */
export async function runDrill(context: BackupContext, wish: DrillWish): Promise<DrillReport> {
  const { host, paths, now } = context;
  return await alone(context, async () => {
    const startedAt = now();
    let isOver = false;
    try {
      await removeDrill(context);
      const report = await attempt(context, wish, startedAt);
      await recordDrill(host, paths, lastRun(startedAt, now()), report);
      isOver = wish.keep;
      return report;
    } catch (error) {
      await recordDrill(host, paths, lastRun(startedAt, now(), error));
      throw error;
    } finally {
      if (!isOver) await removeDrill(context);
    }
  });
}

/** Removes what a kept or a killed drill left. */
export async function endDrill(context: BackupContext): Promise<void> {
  await alone(context, () => removeDrill(context));
}

async function alone<T>({ host, paths }: BackupContext, work: () => Promise<T>): Promise<T> {
  return await exclusively(host, posix.join(paths.agent, 'locks'), DRILL_TASK, work);
}

async function attempt(
  context: BackupContext,
  wish: DrillWish,
  startedAt: Date,
): Promise<DrillReport> {
  const { settings, now } = context;
  const clock = performance.now();
  const rate = await diskRate(context);
  const stack = await stackOf(context, rate.disk);
  await requireMemory(context, stack);
  const request = { stack, limits: [...CPU, ...rate.argv] };
  await writeStack(context, stack);
  const hasPostgres = stack.services.some(({ name }) => name === 'postgres');
  const data: DrillReport['data'][number][] = [];
  if (settings.pitr !== undefined && hasPostgres) data.push(await bringCluster(context, request));
  data.push(...(await bringFiles(context, request)));
  if (settings.pitr === undefined && hasPostgres) {
    const container = `${stack.project}-postgres-1`;
    await up(context, ['postgres']);
    await context.engine.waitHealthy([container], { timeoutSeconds: WELL_SECONDS });
    const { engine } = context;
    const superuser = settings.postgres?.superuser ?? 'postgres';
    const server = { engine, container, superuser, applicationName: 'holdfast-drill' };
    tell(context, 'restoring the dumps');
    data.push(await bringDumps(context, server));
  }
  const services = await startProduct(context, stack, wish);
  return {
    startedAt: startedAt.toISOString(),
    finishedAt: now().toISOString(),
    seconds: (performance.now() - clock) / 1_000,
    data,
    services,
  };
}

async function stackOf(
  { host, engine, paths, settings }: BackupContext,
  disk: Awaited<ReturnType<typeof diskRate>>['disk'],
): Promise<DrillStack> {
  const text = async (name: string): Promise<string | undefined> => {
    const content = await host.read(posix.join(paths.stack, name));
    return content === undefined ? undefined : Buffer.from(content).toString('utf8');
  };
  const running = (await engine.containers({ [LABELS.project]: settings.project })).filter(
    ({ status, service }) => status === 'running' && service !== '',
  );
  return drillStack({
    project: settings.project,
    compose: (await text('compose.yaml')) ?? '',
    secrets: await text('compose.secrets.yaml'),
    images: new Map(
      running
        .sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1))
        .map(({ labels, service, imageId }) => [labels[LABELS.service] ?? service, imageId]),
    ),
    ...(disk === undefined ? {} : { disk }),
  });
}

async function writeStack(context: BackupContext, { compose }: DrillStack): Promise<void> {
  const { host } = context;
  await host.makeDirectory(drillFolder(context), { mode: 0o700, uid: 0, gid: 0 });
  await host.write(composeFile(context), compose, { mode: 0o600, uid: 0, gid: 0 });
}

function composeFile(context: BackupContext): string {
  return posix.join(drillFolder(context), 'compose.json');
}

async function up(context: BackupContext, services: readonly string[]): Promise<void> {
  const { host, engine, settings } = context;
  const { exitCode, stderr } = await host.run({
    argv: [
      'docker',
      ...['compose', '--file', composeFile(context)],
      ...['up', '--detach', '--no-build', ...services],
    ],
    timeoutSeconds: UP_SECONDS,
    okExitCodes: [0, 1],
  });
  if (exitCode === 0) return;
  const all = await engine.containers({ [DRILL_LABEL]: settings.project });
  const sick = all.find(({ status, health }) => status === 'exited' || health === 'unhealthy');
  const why = stderr.trim().split('\n').at(-1) ?? '';
  throw await unwell(context, sick?.service ?? 'the product', sick?.id, why);
}

async function startProduct(
  context: BackupContext,
  stack: DrillStack,
  { services: watched, wellSeconds = WELL_SECONDS }: DrillWish,
): Promise<DrilledService[]> {
  const { engine, settings } = context;
  tell(context, 'starting the product');
  const started = performance.now();
  await up(context, []);
  const container = (service: string): string => `${stack.project}-${service}-1`;
  const image = await helperImage(engine, settings.project, settings.postgres?.image);
  const done: DrilledService[] = [];
  for (const { name, image: own } of stack.services) {
    tell(context, `waiting for ${name}`);
    await engine.waitHealthy([container(name)], { timeoutSeconds: WELL_SECONDS });
    const service = watched.find((one) => one.name === name);
    const check = service?.check ?? { kind: 'engine' };
    if (check.kind !== 'engine') {
      const timeoutSeconds = service?.timeoutSeconds ?? 5;
      const network = `${stack.project}_drill`;
      const asked = { network, image, service: name, check, timeoutSeconds };
      const deadline = performance.now() + wellSeconds * 1_000;
      const wrong = await untilWell(context, asked, deadline);
      if (wrong !== undefined) throw await unwell(context, name, container(name), wrong);
    }
    const seconds = (performance.now() - started) / 1_000;
    done.push({ service: name, image: own, check: checkText(check), seconds });
  }
  return done;
}

async function unwell(
  { engine }: BackupContext,
  service: string,
  container: string | undefined,
  wrong: string,
): Promise<AppError> {
  const lines = container === undefined ? '' : (await engine.logs(container, { tail: 10 })).trim();
  return new AppError({
    code: 'health/drill',
    what: `${service} does not come up on the recovered data`,
    why: `${wrong}\n${lines}`.trim(),
    hint: 'look at it: `holdfast backup drill --keep`; the live stack was not touched',
  });
}

function tell({ report }: BackupContext, text: string): void {
  report({ kind: 'progress', id: DRILL_TASK, text });
}
