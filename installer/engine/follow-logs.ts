import type { Readable } from 'node:stream';
import type { EngineClient } from './engine-client.ts';
import { demultiplex } from './frames.ts';

/**
 * What a container says, as it comes.
 * @throws AppError when the engine, or the connection to it, is lost on the way
 */
export async function* followLogs(
  client: EngineClient,
  container: string,
  { tail, signal }: { readonly tail: number; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array> {
  const action = `follow the logs of ${container}`;
  const { stream, isTerminal } = await client.look(action, async (docker) => {
    const one = docker.getContainer(container);
    const { Config } = await one.inspect();
    const opened = await one.logs({ stdout: true, stderr: true, follow: true, tail });
    return { stream: opened as Readable, isTerminal: Config.Tty };
  });
  const stop = (): void => {
    stream.destroy();
  };
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    if (isTerminal) yield* stream as AsyncIterable<Uint8Array>;
    else for await (const { chunk } of demultiplex(stream)) yield chunk;
  } catch (error) {
    // A stream that we destroyed ends too early by its own account.
    if (!signal.aborted) throw client.explained(action, error);
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}
