import {
  type ComposeProject,
  type ComposeService,
  composeRunOnce,
  composeUp,
} from '../engine/compose.ts';
import { AppError } from '../errors.ts';
import { CommandError } from '../host/command-error.ts';
import type { Command } from '../host/host.ts';
import { LABELS } from '../model/labels.ts';
import type { Operation, ServiceChange } from '../model/operation.ts';
import { settledByStart } from '../plan/reactions.ts';
import { waitForServices } from './health.ts';
import { quoted, type Run } from './run.ts';

type OperationOf<Kind extends Operation['kind']> = Extract<Operation, { kind: Kind }>;

/** Starts, creates or recreates containers and waits until they are healthy. */
export async function startServices(run: Run, operation: OperationOf<'compose-up'>): Promise<void> {
  const named = (...changes: ServiceChange['change'][]): string[] =>
    operation.services
      .filter(({ change }) => changes.includes(change))
      .map(({ service }) => service);
  await migrate(run, named('create', 'recreate'));
  await up(run, named('recreate'), { recreate: true });
  await up(run, named('create', 'start', 'scale'), { recreate: false });
  await waitForServices(run, named('create', 'recreate', 'start', 'scale'));
  await run.manifest.settle(named('create', 'recreate', 'start').flatMap(settledByStart));
}

/** @throws AppError `health/not-started` with what compose said */
export async function up(
  run: Run,
  services: readonly string[],
  options: { readonly recreate: boolean },
): Promise<void> {
  const [first, ...others] = services.map((service): ComposeService => ({ service }));
  if (first === undefined) return;
  await runOrExplain(run, composeUp(composeProject(run), [first, ...others], options), {
    code: 'health/not-started',
    what: `${services.join(', ')} could not be started`,
  });
}

/** Before its service is replaced: a migration that fails leaves the old release running. */
async function migrate(run: Run, services: readonly string[]): Promise<void> {
  for (const { service, argv } of run.desired.migrations) {
    if (!services.includes(service)) continue;
    await runOrExplain(run, composeRunOnce(composeProject(run), service, argv), {
      code: 'health/migration-failed',
      what: `the migration of ${service} failed, so ${service} was not replaced`,
    });
  }
}

function composeProject({ project, paths }: Run): ComposeProject {
  return { project, directory: paths.stack, secrets: true };
}

async function runOrExplain(
  run: Run,
  command: Command,
  failure: { readonly code: `health/${string}`; readonly what: string },
): Promise<void> {
  try {
    await run.host.run(command);
  } catch (error) {
    if (!(error instanceof CommandError) || error.reason !== 'exit') throw error;
    const said = quoted(run, error.stderr.trim() === '' ? error.stdout : error.stderr);
    throw new AppError({
      ...failure,
      why: said === '' ? `it printed nothing and ended with exit code ${error.exitCode}` : said,
      hint: 'correct what the message says and run `holdfast apply` again',
      cause: error,
    });
  }
}

/** Stops and removes containers of a service that is no longer wanted. Its volumes stay. */
export async function removeContainers(
  run: Run,
  operation: OperationOf<'remove-containers'>,
): Promise<void> {
  await stopAndRemove(run, operation.containers);
}

export async function stopAndRemove(
  { host, engine, project }: Pick<Run, 'host' | 'engine' | 'project'>,
  ids: readonly string[],
): Promise<void> {
  const present = async (): Promise<string[]> => {
    const all = await engine.containers({ [LABELS.project]: project });
    return all.map(({ id }) => id).filter((id) => ids.includes(id));
  };
  const there = await present();
  if (there.length === 0) return;
  // Stop gives a database its time to close its files; `rm --force` alone would kill it.
  await host.run({ argv: ['docker', 'container', 'stop', ...there], okExitCodes: [0, 1] });
  await host.run({ argv: ['docker', 'container', 'rm', '--force', ...there], okExitCodes: [0, 1] });
  const left = await present();
  if (left.length === 0) return;
  throw new AppError({
    code: 'engine/container-stays',
    what: `the engine does not remove the containers ${left.join(', ')}`,
    hint: `run \`docker container rm --force ${left.join(' ')}\` to see why, then the same holdfast command again`,
  });
}
