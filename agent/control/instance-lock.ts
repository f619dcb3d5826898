import { childProcess, fs } from '../builtins.ts';
import { readText } from '../files.ts';

/**
 * Makes sure that one agent runs. The kernel holds the lock for as long as this process lives, however it
 * ends: it belongs to our open file, on which the program `flock` takes it. The number in the file is for people.
 *
 * @returns undefined when it is ours, else the number of the process that has it, as far as known
 */
export function takeInstanceLock(path: string): { readonly holder: string } | undefined {
  const file = fs.openSync(path, 'a+', 0o600);
  const { status, error, stderr } = childProcess.spawnSync(
    'flock',
    ['--exclusive', '--nonblock', '3'],
    {
      stdio: ['ignore', 'ignore', 'pipe', file],
    },
  );
  if (error !== undefined) throw error;
  if (status === 0) {
    fs.ftruncateSync(file);
    fs.writeSync(file, `${process.pid}\n`);
    return undefined;
  }
  fs.closeSync(file);
  if (status !== 1) throw new Error(`flock: ${stderr.toString().trim()}`);
  return { holder: (readText(path) ?? '').trim() || 'unknown' };
}
