import { randomBytes } from 'node:crypto';
import { COMPOSE_FILE, composeCheck } from '../engine/compose.ts';
import { AppError } from '../errors.ts';
import { CommandError } from '../host/command-error.ts';
import type { Command } from '../host/host.ts';
import { WITHOUT_LOG } from '../model/container-log.ts';
import type { ContainerValidator, HostValidator } from '../model/contribution.ts';
import type { Desired } from '../model/desired.ts';
import { LABELS } from '../model/labels.ts';
import type { Plan } from '../model/operation.ts';
import { quoted, type Run } from './run.ts';
import { Staging } from './stage.ts';

const VALIDATOR_SECONDS = 120;

/**
 * Lets the real programs check what is about to be written, before anything is replaced.
 * @throws AppError `config/rejected-by-…` with the program's own message
 */
export async function validate(run: Run): Promise<void> {
  const staging = new Staging(run.host, run.paths, run.desired);
  await staging.empty();
  try {
    await validateCompose(run, staging);
    for (const validator of run.desired.validators) {
      if (!touches(run.plan, `${run.paths.stack}/${validator.folder}/`)) continue;
      if ('program' in validator) await runOnHost(run, validator, staging);
      else await runValidator(run, validator, staging);
    }
  } finally {
    await staging.empty();
  }
}

async function validateCompose(run: Run, staging: Staging): Promise<void> {
  const { project, paths, desired, plan } = run;
  const path = `${paths.stack}/${COMPOSE_FILE}`;
  const file = desired.files.get(path);
  if (file === undefined || !touches(plan, path)) return;
  const command = composeCheck({ project, directory: paths.stack, secrets: false }, file.content);
  await runOrReject(run, 'compose', command, staging);
}

function touches({ operations }: Plan, prefix: string): boolean {
  return operations.some(
    (operation) =>
      (operation.kind === 'write-file' || operation.kind === 'remove-file') &&
      operation.path.startsWith(prefix),
  );
}

async function runOnHost(
  run: Run,
  { id, folder, file, program }: HostValidator,
  staging: Staging,
): Promise<void> {
  const staged = await staging.add(`${run.paths.stack}/${folder}`);
  if (staged === undefined) return;
  const argv = [...program, `${staged}/${file}`] as const;
  await runOrReject(run, id, { argv, timeoutSeconds: VALIDATOR_SECONDS }, staging);
}

async function runValidator(
  run: Run,
  validator: ContainerValidator,
  staging: Staging,
): Promise<void> {
  const { paths, desired, project, host } = run;
  const folder = await staging.add(`${paths.stack}/${validator.folder}`);
  if (folder === undefined) return;
  const mounts = [{ source: folder, target: validator.target }];
  for (const { source, target } of validator.mounts ?? []) {
    mounts.push({ source: (await staging.add(source)) ?? source, target });
  }
  const name = `${project}-check-${validator.id}-${randomBytes(4).toString('hex')}`;
  const command = validatorCommand({
    name,
    project,
    validator,
    image: imageOf(desired, validator),
    mounts,
    services: Object.keys(desired.stack.services),
  });
  try {
    await runOrReject(run, validator.id, command, staging);
  } catch (error) {
    // Where the program ended by itself, `--rm` has removed its container; a cut-off client leaves it.
    if (error instanceof CommandError) {
      await host.run({ argv: ['docker', 'container', 'rm', '--force', name], okExitCodes: [0, 1] });
    }
    throw error;
  }
}

export interface ValidatorRun {
  readonly name: string;
  readonly project: string;
  readonly validator: ContainerValidator;
  readonly image: string;
  readonly mounts: readonly { readonly source: string; readonly target: string }[];
  /** Names that must resolve for the check, whatever to. */
  readonly services: readonly string[];
}

export function validatorCommand(run: ValidatorRun): Command {
  const [program, ...rest] = run.validator.argv;
  return {
    argv: [
      'docker',
      'run',
      '--rm',
      '--name',
      run.name,
      '--label',
      `${LABELS.project}=${run.project}`,
      ...WITHOUT_LOG,
      '--network',
      'none',
      '--pull',
      'never',
      '--memory',
      '512m',
      '--pids-limit',
      '128',
      '--security-opt',
      'no-new-privileges',
      ...run.services.flatMap((service) => ['--add-host', `${service}:127.0.0.1`]),
      ...run.mounts.flatMap(({ source, target }) => [
        '--mount',
        `type=bind,source=${source},target=${target},readonly`,
      ]),
      '--entrypoint',
      program,
      run.image,
      ...rest,
    ],
    timeoutSeconds: VALIDATOR_SECONDS,
  };
}

function imageOf(desired: Desired, { image, id }: ContainerValidator): string {
  const reference = desired.lock.images[image]?.reference ?? desired.stack.services[image]?.image;
  if (reference === undefined) throw new Error(`validator ${id} has no image ${image}`);
  return reference;
}

async function runOrReject(
  run: Run,
  id: string,
  command: Command,
  staging: Staging,
): Promise<void> {
  try {
    await run.host.run(command);
  } catch (error) {
    if (!(error instanceof CommandError) || error.reason !== 'exit') throw error;
    const output = quoted(run, `${error.stdout}\n${error.stderr}`.trim());
    throw new AppError({
      code: `config/rejected-by-${id}`,
      what: `${id} refuses the files rendered from this config`,
      why: `${output.replaceAll(staging.at(''), '')}\nnothing was changed`,
      hint: 'correct the value in config.yaml that the message points at (`holdfast plan` shows the rendered files) and apply again',
      cause: error,
    });
  }
}
