import type { Engine } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { WITHOUT_LOG } from '../model/container-log.ts';
import { LABELS } from '../model/labels.ts';

const COMPONENT = 'backup';
const TASK_LABEL = 'io.holdfast.backup-task';

export interface HelperRequest {
  readonly project: string;
  /** Names what it is for; a later run of the same task removes what a killed one left. */
  readonly task: string;
  readonly image: string;
  readonly argv: readonly [string, ...string[]];
  readonly volume: { readonly name: string; readonly readOnly: boolean };
  readonly capabilities: readonly string[];
  /** More options of `docker run`. */
  readonly limits?: readonly string[];
}

/** Where a helper sees the volume. */
export const VOLUME_MOUNT = '/holdfast-volume';

/** A short-lived container of one of our images that sees one volume and no network, as a command for the host. */
export function helperArgv(request: HelperRequest): [string, ...string[]] {
  const [program, ...rest] = request.argv;
  return [
    'docker',
    'run',
    '--rm',
    '--interactive',
    ...labelArguments(request),
    ...WITHOUT_LOG,
    ...['--network', 'none'],
    ...(request.limits ?? []),
    ...['--user', '0:0'],
    ...['--cap-drop', 'ALL'],
    ...request.capabilities.flatMap((capability) => ['--cap-add', capability]),
    ...['--security-opt', 'no-new-privileges'],
    ...['--pids-limit', '64'],
    ...['--memory', '256m'],
    '--read-only',
    ...['--workdir', '/'],
    '--mount',
    `type=volume,source=${request.volume.name},target=${VOLUME_MOUNT},volume-nocopy${request.volume.readOnly ? ',readonly' : ''}`,
    ...['--entrypoint', program],
    request.image,
    ...rest,
  ];
}

export function labelArguments({ project, task }: { project: string; task: string }): string[] {
  return Object.entries(helperLabels(project, task)).flatMap(([key, value]) => [
    '--label',
    `${key}=${value}`,
  ]);
}

function helperLabels(project: string, task: string): Readonly<Record<string, string>> {
  return { [LABELS.project]: project, [LABELS.component]: COMPONENT, [TASK_LABEL]: task };
}

/** Removes the containers, with their own volumes, that a killed run of this task left. */
export async function removeHelpers(
  host: Host,
  engine: Engine,
  project: string,
  task: string,
): Promise<void> {
  for (const { id } of await engine.containers(helperLabels(project, task))) {
    await host.run({ argv: ['docker', 'rm', '--force', '--volumes', id], okExitCodes: [0, 1] });
  }
}

/** @throws AppError `backup/no-volume` */
export async function requireVolume(host: Host, volume: string): Promise<void> {
  const { exitCode } = await host.run({
    argv: ['docker', 'volume', 'inspect', volume],
    okExitCodes: [0, 1],
  });
  if (exitCode === 0) return;
  throw new AppError({
    code: 'backup/no-volume',
    what: `there is no volume ${volume}`,
    hint: 'holdfast apply makes the volumes of the config',
  });
}

/** An image of the stack that has GNU tar: Postgres' or nginx'. @throws AppError `backup/no-image` */
export async function helperImage(
  engine: Engine,
  project: string,
  postgresImage: string | undefined,
): Promise<string> {
  if (postgresImage !== undefined) return postgresImage;
  const containers = await engine.containers({ [LABELS.project]: project });
  const nginx = containers.find(({ service }) => service === 'nginx');
  const found = nginx ?? containers.find(({ imageReference }) => imageReference !== '');
  if (found !== undefined) return found.imageReference;
  throw new AppError({
    code: 'backup/no-image',
    what: 'no container of the stack is there whose image could read the volume',
    hint: 'holdfast apply',
  });
}
