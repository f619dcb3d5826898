import { posix } from 'node:path';
import type { Command } from '../host/host.ts';

/** Which stack a compose command is about. */
export interface ComposeProject {
  /** `config.project`. */
  readonly project: string;
  /** Folder of `compose.yaml`, absolute: `paths.stack`. */
  readonly directory: string;
  /** Whether `compose.secrets.yaml` stands beside it. */
  readonly secrets: boolean;
}

export interface ComposeService {
  readonly service: string;
  /** Replicas; what the file says when absent. */
  readonly scale?: number;
}

export interface UpOptions {
  readonly recreate: boolean;
  /** How long those that are replaced may take to end; as the file says when absent. */
  readonly stopSeconds?: number;
}

export const COMPOSE_FILE = 'compose.yaml';
export const COMPOSE_SECRETS_FILE = 'compose.secrets.yaml';

const UP_SECONDS = 900;
const STOP_SECONDS = 600;
const CONFIG_SECONDS = 60;
/** A migration may rewrite a large table. */
const RUN_ONCE_SECONDS = 3_600;

/**
 * Creates and starts the containers of these services and touches no other one.
 * With `recreate` every container of them is replaced, else those that exist keep their id,
 * also when the file says something else by now: what is replaced is the plan's decision, not compose's.
 * Health is not waited for. Nothing is pulled or built: images were made present before.
 */
export function composeUp(
  project: ComposeProject,
  services: readonly [ComposeService, ...ComposeService[]],
  options: UpOptions,
): Command {
  return compose(project, UP_SECONDS, [
    'up',
    '--detach',
    '--no-deps',
    '--no-build',
    '--pull',
    'never',
    options.recreate ? '--force-recreate' : '--no-recreate',
    ...(options.stopSeconds === undefined ? [] : ['--timeout', String(options.stopSeconds)]),
    ...services.flatMap(({ service, scale }) =>
      scale === undefined ? [] : ['--scale', `${service}=${scale}`],
    ),
    ...services.map(({ service }) => service),
  ]);
}

/** Restarts the containers of these services; ids stay. */
export function composeRestart(
  project: ComposeProject,
  services: readonly [string, ...string[]],
): Command {
  return compose(project, STOP_SECONDS, ['restart', '--no-deps', ...services]);
}

/** Stops the containers of these services and keeps them. */
export function composeStop(
  project: ComposeProject,
  services: readonly [string, ...string[]],
): Command {
  return compose(project, STOP_SECONDS, ['stop', ...services]);
}

/** Stops and removes the containers of these services; named volumes stay. */
export function composeRemove(
  project: ComposeProject,
  services: readonly [string, ...string[]],
): Command {
  return compose(project, STOP_SECONDS, ['rm', '--stop', '--force', ...services]);
}

/**
 * Runs a program once in a fresh container of a service, with its image, networks, secrets and volumes.
 * The container is removed afterwards, by compose: where that is killed, the program goes on in it.
 */
export function composeRunOnce(
  project: ComposeProject,
  service: string,
  [program, ...rest]: readonly [string, ...string[]],
  labels: Readonly<Record<string, string>> = {},
): Command {
  return compose(project, RUN_ONCE_SECONDS, [
    'run',
    '--rm',
    '--no-deps',
    '--no-TTY',
    ...labelOptions(labels),
    '--entrypoint',
    program,
    service,
    ...rest,
  ]);
}

export interface BesideContainer {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** `host:container`. */
  readonly ports: readonly string[];
  /** In place of what the file says. */
  readonly command?: readonly string[];
  /** In place of the address that is fixed for the service, on networks by their name in the file. */
  readonly addresses?: Readonly<Record<string, string>>;
}

/**
 * Starts one more container of a service, with its image, networks, secrets and volumes, under a name and on ports
 * of its own. It has none of the service's DNS names, and the engine does not start it again.
 */
export function composeRunBeside(
  project: ComposeProject,
  service: string,
  { name, labels, ports, command = [], addresses }: BesideContainer,
): Command {
  const rest = [
    'run',
    '--detach',
    '--no-deps',
    '--name',
    name,
    ...labelOptions(labels),
    ...ports.flatMap((port) => ['--publish', port]),
    service,
    ...command,
  ];
  if (addresses === undefined) return compose(project, UP_SECONDS, rest);
  const networks = Object.entries(addresses).map(([network, address]) => [
    network,
    { ipv4_address: address },
  ]);
  return {
    ...compose(project, UP_SECONDS, rest, [...projectFiles(project), '-']),
    stdin: JSON.stringify({ services: { [service]: { networks: Object.fromEntries(networks) } } }),
  };
}

function labelOptions(labels: Readonly<Record<string, string>>): string[] {
  return Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]);
}

/** Checks a candidate of `compose.yaml` without writing it anywhere. */
export function composeCheck(project: ComposeProject, text: string): Command {
  return {
    ...compose({ ...project, secrets: false }, CONFIG_SECONDS, ['config', '--quiet'], ['-']),
    stdin: text,
  };
}

function projectFiles({ directory, secrets }: ComposeProject): string[] {
  return [
    posix.join(directory, COMPOSE_FILE),
    ...(secrets ? [posix.join(directory, COMPOSE_SECRETS_FILE)] : []),
  ];
}

function compose(
  definition: ComposeProject,
  timeoutSeconds: number,
  rest: readonly string[],
  files = projectFiles(definition),
): Command {
  const { project, directory } = definition;
  return {
    argv: [
      'docker',
      'compose',
      '--ansi',
      'never',
      '--progress',
      'plain',
      '--project-name',
      project,
      '--project-directory',
      directory,
      // Else an `.env` in the folder would change what the file means.
      '--env-file',
      '/dev/null',
      ...files.flatMap((file) => ['--file', file]),
      ...rest,
    ],
    env: { COMPOSE_IGNORE_ORPHANS: 'true', COMPOSE_PROFILES: '' },
    timeoutSeconds,
  };
}
