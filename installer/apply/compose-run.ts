import {
  type BesideContainer,
  type ComposeProject,
  type ComposeService,
  composeRunBeside,
  composeRunOnce,
  composeUp,
  type UpOptions,
} from '../engine/compose.ts';
import { AppError } from '../errors.ts';
import { CommandError } from '../host/command-error.ts';
import type { Command } from '../host/host.ts';
import { LABELS } from '../model/labels.ts';
import { again, quoted, type Run } from './run.ts';

/** @throws AppError `health/not-started` with what compose said */
export async function up(run: Run, services: readonly string[], options: UpOptions): Promise<void> {
  const [first, ...others] = services.map((service): ComposeService => ({ service }));
  if (first === undefined) return;
  await runOrExplain(run, composeUp(composeProject(run), [first, ...others], options), {
    code: 'health/not-started',
    what: `${services.join(', ')} could not be started`,
  });
}

/** @throws AppError `health/not-started` with what compose said */
export async function runBeside(
  run: Run,
  service: string,
  container: BesideContainer,
): Promise<void> {
  await runOrExplain(run, composeRunBeside(composeProject(run), service, container), {
    code: 'health/not-started',
    what: `a stand-in for ${service} could not be started`,
  });
}

/** Before its service is replaced: a migration that fails leaves the old release running. */
export async function migrate(run: Run, services: readonly string[]): Promise<void> {
  for (const { service, argv } of run.desired.migrations) {
    if (!services.includes(service)) continue;
    const labels = { [LABELS.migration]: service };
    await runOrExplain(run, composeRunOnce(composeProject(run), service, argv, labels), {
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
    if (!(error instanceof CommandError)) throw error;
    // Nobody knows how far a start came in its time; a migration has not come to its end.
    const isLate = error.reason === 'timeout' && failure.code === 'health/migration-failed';
    if (error.reason !== 'exit' && !isLate) throw error;
    throw new AppError({
      ...failure,
      why: whyOf(error, quoted(run, error.stderr.trim() === '' ? error.stdout : error.stderr)),
      hint: `correct what the message says and ${again(run)}`,
      cause: error,
    });
  }
}

function whyOf({ reason, what, exitCode }: CommandError, said: string): string {
  if (reason === 'timeout') return said === '' ? what : `${what}\n${said}`;
  return said === '' ? `it printed nothing and ended with exit code ${exitCode}` : said;
}
