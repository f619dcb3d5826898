import type { Command } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';

type Argv = readonly [string, ...string[]];

/** The compose command line over the rendered files in `folder`. */
function compose(folder: string, project: string, rest: readonly string[]): Argv {
  return [
    'docker',
    'compose',
    '--project-name',
    project,
    '--project-directory',
    folder,
    '--file',
    `${folder}/compose.yaml`,
    '--file',
    `${folder}/compose.secrets.yaml`,
    '--ansi',
    'never',
    ...rest,
  ];
}

/** Checks the files without printing them. */
export function composeConfig(folder: string, project: string): Command {
  return { argv: compose(folder, project, ['config', '--quiet']), timeoutSeconds: 60 };
}

/**
 * Creates and starts containers of exactly these services. `recreate` replaces those that are there even
 * where compose sees no difference; otherwise those that are there keep their id.
 */
export function composeUp(
  paths: Paths,
  project: string,
  services: readonly string[],
  options: { readonly recreate: boolean },
): Command {
  return {
    argv: compose(paths.stack, project, [
      'up',
      '--detach',
      '--no-deps',
      '--no-build',
      '--pull',
      'never',
      options.recreate ? '--force-recreate' : '--no-recreate',
      '--',
      ...services,
    ]),
    timeoutSeconds: 900,
  };
}

/** Runs a command once in a fresh container of a service, with the service's networks, secrets and volumes. */
export function composeRun(
  paths: Paths,
  project: string,
  service: string,
  argv: readonly [string, ...string[]],
): Command {
  const [program, ...rest] = argv;
  return {
    argv: compose(paths.stack, project, [
      'run',
      '--rm',
      '--no-deps',
      '--no-TTY',
      '--entrypoint',
      program,
      '--',
      service,
      ...rest,
    ]),
    timeoutSeconds: 3600,
  };
}
