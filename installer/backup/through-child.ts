import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Child, startChild } from '../host/child.ts';
import { CommandError } from '../host/command-error.ts';

/** Where the output of a program goes without passing through us. */
export interface ChildOutput {
  /** An open file; nothing is yielded then. */
  readonly to?: number;
  /** Another program, whose own output is yielded. */
  readonly into?: Child;
}

/**
 * The output of a program that is fed from a stream. It ends only when the source ended well and the program
 * succeeded: whatever fails is thrown, so that a broken stream never looks like a short one.
 * @throws CommandError when the program fails; whatever the source throws
 */
export async function* throughChild(
  argv: readonly [string, ...string[]],
  input: AsyncIterable<Uint8Array>,
  output: ChildOutput = {},
): AsyncGenerator<Buffer> {
  const child = startChild({ argv, ...output });
  let sourceError: { readonly error: unknown } | undefined;
  const feeding = pipeline(watch(input), child.stdin).catch((error: unknown) => {
    // Otherwise the program ended without reading everything, which its exit code explains.
    if (sourceError !== undefined) child.kill('SIGKILL');
    else if (!isBrokenPipe(error)) throw error;
  });
  feeding.catch(() => undefined);
  async function* watch(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* source;
    } catch (error) {
      sourceError = { error };
      throw error;
    }
  }
  let ended = false;
  try {
    yield* outputOf(output.into ?? child);
    const { exitCode, stderr } = await child.done;
    ended = true;
    if (exitCode !== 0 && sourceError === undefined) {
      throw new CommandError({ reason: 'exit', argv, host: 'localhost', exitCode, stderr });
    }
    await feeding;
  } catch (error) {
    throw sourceError === undefined ? error : sourceError.error;
  } finally {
    if (!ended) {
      child.kill('SIGKILL');
      output.into?.kill('SIGKILL');
    }
  }
  if (sourceError !== undefined) throw sourceError.error;
}

/** A program that could not start destroys its output; `done` tells why. */
async function* outputOf({ stdout, done }: Child): AsyncGenerator<Buffer> {
  try {
    yield* stdout as Readable & AsyncIterable<Buffer>;
  } catch (error) {
    await done;
    throw error;
  }
}

function isBrokenPipe(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EPIPE' || code === 'ECONNRESET' || code === 'ERR_STREAM_PREMATURE_CLOSE';
}
