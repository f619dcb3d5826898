import { LABELS } from '../installer/model/labels.ts';
import { childProcess } from './builtins.ts';

const PATIENCE = 20_000;

/** Runs a command in every running container of a stack service, through the docker program. */
export async function runInService(
  project: string,
  service: string,
  argv: readonly string[],
): Promise<void> {
  const containers = await runProgram('docker', [
    'ps',
    '--quiet',
    '--filter',
    `label=${LABELS.project}=${project}`,
    '--filter',
    `label=com.docker.compose.service=${service}`,
  ]);
  for (const id of containers.split('\n').filter((line) => line !== '')) {
    await runProgram('docker', ['exec', id, ...argv]);
  }
}

/** The standard output of a program. @throws Error with the last line of what it complained of */
export function runProgram(command: string, argv: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    childProcess.execFile(command, argv, { timeout: PATIENCE }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(stderr.trim().split('\n').at(-1) || error.message));
    });
  });
}
