/** A real engine for the tests: run docker by argv, and take back what a test created. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { lookUntil } from '../../support/look-until.ts';

const run = promisify(execFile);

/** Every object of a test carries it, so that leftovers can be told from a user's. */
export const TEST_LABEL = 'io.holdfast.test=1';

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The part of a tap test that these helpers need. */
export interface Cleaning {
  teardown(fn: () => Promise<void>): void;
}

/** Runs a program to its end, whatever its exit code. */
export async function outcome(
  argv: readonly [string, ...string[]],
  seconds = 600,
): Promise<Output> {
  const [file, ...args] = argv;
  try {
    const { stdout, stderr } = await run(file, args, {
      timeout: seconds * 1000,
      maxBuffer: 64 * 1024 * 1024,
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const failure = error as Partial<Output> & { code?: unknown; message: string };
    return {
      code: typeof failure.code === 'number' ? failure.code : -1,
      stdout: failure.stdout ?? '',
      stderr: failure.stderr || failure.message,
    };
  }
}

/** `docker ARGS…`, its standard output without the last newline; throws on failure. */
export async function docker(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await outcome(['docker', ...args]);
  if (code !== 0) throw new Error(`docker ${args.join(' ')} exited ${code}: ${stderr.trim()}`);
  return stdout.trimEnd();
}

/** Starts a detached container; it goes when the test ends, with its anonymous volumes. */
export async function start(t: Cleaning, options: readonly string[], ...command: string[]) {
  const id = await docker('create', '--label', TEST_LABEL, ...options, ...command);
  t.teardown(async () => {
    await outcome(['docker', 'rm', '-f', '-v', id]);
  });
  await docker('start', id);
  return id;
}

/** A named volume of the test's own. */
export async function volume(t: Cleaning): Promise<string> {
  const name = await docker('volume', 'create', '--label', TEST_LABEL);
  t.teardown(async () => {
    await outcome(['docker', 'volume', 'rm', '-f', name]);
  });
  return name;
}

export const exec = (id: string, ...command: string[]): Promise<Output> =>
  outcome(['docker', 'exec', id, ...command]);

/** What a container wrote, both streams. */
export async function logs(id: string): Promise<string> {
  const { stdout, stderr } = await outcome(['docker', 'logs', id]);
  return stdout + stderr;
}

/** How many times longer than alone on a quick machine anything may take on a slow one beside others. */
const SLOWNESS = 5;

/**
 * Asks until `check` gives a value that is not false, empty or undefined.
 * @param seconds what it takes at most on a quick machine that does nothing else
 */
export async function until<T>(
  what: string,
  seconds: number,
  check: () => Promise<T>,
): Promise<NonNullable<T>> {
  const limit = seconds * SLOWNESS;
  return await lookUntil<NonNullable<T>>(
    limit * 1000,
    async () => (await check()) || undefined,
    () => `${what}: not within ${limit} s`,
  );
}

/** Seconds after which the engine kills what does not stop. */
export const KILLED_AFTER = 20;

/** Stops by the image's own signal; says how long that took and how it ended. */
export async function stop(id: string): Promise<{ seconds: number; code: number }> {
  const begin = Date.now();
  await docker('stop', '--time', String(KILLED_AFTER), id);
  const code = await docker('inspect', '--format', '{{.State.ExitCode}}', id);
  return { seconds: (Date.now() - begin) / 1000, code: Number(code) };
}
