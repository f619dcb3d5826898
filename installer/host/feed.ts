import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/**
 * Gives a program its standard input to the end. A source that fails must not look like its end:
 * `stop` ends the program, and the source's error is thrown. A program that ends without reading
 * everything is no failure here: its exit code tells.
 */
export async function feed(
  target: Writable,
  source: string | Uint8Array | Readable | undefined,
  stop: () => void,
): Promise<void> {
  target.on('error', () => undefined);
  if (!(source instanceof Readable)) {
    target.end(source);
    return;
  }
  let failure = source.errored;
  const fail = (error: Error): void => {
    failure = error;
    // Before the pipeline closes the target, which the program would take for the end of its input.
    stop();
  };
  if (failure === null) {
    let gone = false;
    target.once('close', () => {
      gone = true;
    });
    source.once('error', (error) => {
      // Whatever the source says after the target has gone is an echo of that.
      if (!gone && !target.destroyed) fail(error);
    });
    try {
      await pipeline(source, target);
    } catch (error) {
      if (failure === null && !isBrokenPipe(error)) fail(error as Error);
    }
  } else fail(failure);
  if (failure !== null) throw failure;
}

function isBrokenPipe(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return (
    code === 'EPIPE' ||
    code === 'ECONNRESET' ||
    // A write that was on its way when the program ended.
    code === 'ECANCELED' ||
    code === 'ERR_STREAM_PREMATURE_CLOSE' ||
    code === 'ERR_STREAM_DESTROYED'
  );
}
