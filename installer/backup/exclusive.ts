import { posix } from 'node:path';
import { AppError } from '../errors.ts';
import { startChild } from '../host/child.ts';
import { CommandError } from '../host/command-error.ts';
import type { Host } from '../host/host.ts';

const HELD = 75;

/**
 * Runs `work` while this process holds a lock that the kernel gives back when we die, however we die:
 * `flock` holds it in a child that ends when its standard input does.
 * @param waitSeconds how long to wait for another holder; not at all when absent
 * @throws AppError `lock/held` when another process holds it
 */
export async function exclusively<T>(
  host: Host,
  folder: string,
  name: string,
  work: () => Promise<T>,
  waitSeconds = 0,
): Promise<T> {
  await host.makeDirectory(folder, { mode: 0o700, uid: 0, gid: 0 });
  const file = posix.join(folder, `${name}.lock`);
  const argv = [
    'flock',
    ...['--timeout', `${waitSeconds}`],
    ...['--conflict-exit-code', `${HELD}`],
    file,
    'cat',
  ] as const;
  const child = startChild({ argv });
  child.stdin.on('error', () => undefined);
  child.stdin.write('held\n');
  const [answer] = await Promise.race([firstChunk(child.stdout), child.done.then(() => [])]);
  if (answer === undefined) {
    const { exitCode, stderr } = await child.done;
    if (exitCode === HELD) throw held(name);
    throw new CommandError({ reason: 'exit', argv, host: host.name, exitCode, stderr });
  }
  try {
    return await work();
  } finally {
    child.stdout.resume();
    child.stdin.end();
    await child.done;
  }
}

async function firstChunk(stream: NodeJS.ReadableStream): Promise<[Buffer] | []> {
  return await new Promise((resolve) => {
    stream.once('data', (chunk: Buffer) => {
      stream.pause();
      resolve([chunk]);
    });
    stream.once('end', () => resolve([]));
    stream.once('error', () => resolve([]));
  });
}

function held(name: string): AppError {
  return new AppError({
    code: 'lock/held',
    what: `another process is at ${name} already`,
    hint: 'wait until it ends: `holdfast agent status` shows what runs',
  });
}
