import type { Readable } from 'node:stream';
import type { Engine } from '../../engine/engine.ts';
import { streamCut } from '../../engine/frames.ts';
import { AppError } from '../../errors.ts';
import { TailBuffer } from '../../host/tail-buffer.ts';
import type { BackupSource } from '../../model/backup-settings.ts';
import type { BackupContext } from '../context.ts';
import { objectNamePart } from '../keys.ts';
import { marked, tellsWhole, unmarkedProgram } from '../whole-stream.ts';
import { compress } from '../zstd.ts';
import type { Source } from './source.ts';
import { readerOf, volumeBytes } from './volume.ts';

export type AccessorySource = Extract<BackupSource, { kind: 'accessory' }>;

/** An empty stream, compressed, comes to this; what a dump must have inside is looked at before. */
const FLOOR_BYTES = 13;

/** Whatever the dump command of an accessory writes to its standard output, through zstd. */
export async function openAccessorySource(
  context: Pick<BackupContext, 'host' | 'engine' | 'settings'>,
  source: AccessorySource,
  task: string,
): Promise<Source> {
  let expectedBytes = 0;
  for (const volume of source.volumes) {
    expectedBytes += await volumeBytes(context.host, await readerOf(context, volume, task));
  }
  return {
    method: 'logical',
    tools: {},
    objects: [
      {
        name: `accessory-${objectNamePart(source.name)}.dump.zst`,
        role: 'accessory',
        format: 'dump.zst',
        expectedBytes,
        floorBytes: FLOOR_BYTES,
        content: { kind: 'stream', read: () => compress(accessoryDump(context.engine, source)) },
      },
    ],
    close: async () => undefined,
  };
}

/**
 * The plain output of the dump command. By the engine's API, not its client: that one's exit code is 0 as well when
 * the engine does not know yet how the command ended.
 * @throws AppError `backup/accessory` after the last byte when it failed, or wrote nothing
 */
export async function* accessoryDump(
  engine: Engine,
  { name, container, dump }: AccessorySource,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  const said = new TailBuffer(SAID_BYTES);
  async function* watched(output: Readable): AsyncGenerator<Buffer> {
    for await (const chunk of output) {
      bytes += (chunk as Buffer).length;
      said.push(chunk as Buffer);
      yield chunk as Buffer;
    }
  }
  const wrap = (await tellsWhole(engine, container)) ? marked : unmarkedProgram;
  const { argv, length, plain } = wrap(commandWords(dump));
  try {
    const { stdout, done } = await engine.execStream(container, { argv });
    const code = yield* plain(watched(stdout));
    const { exitCode, stderr } = await done;
    if (exitCode === 0 && code === undefined) throw streamCut();
    const ended = exitCode || code;
    if (ended !== 0) throw dumpFailed(name, whyItEnded(ended ?? exitCode, stderr, said));
  } catch (error) {
    if (!(error instanceof AppError) || !error.code.startsWith('engine/')) throw error;
    throw dumpFailed(name, error.message, error);
  }
  if (bytes === length) throw dumpFailed(name, 'it wrote nothing to its standard output');
}

/** Enough for why a program could not be started, bytes. */
export const SAID_BYTES = 2048;

/** What the engine cannot start it tells in place of the program, on its standard output. */
export function whyItEnded(exitCode: number, stderr: string, stdout: TailBuffer): string {
  const isNotStarted = exitCode === 126 || exitCode === 127;
  return lastLines(stderr) || (isNotStarted && lastLines(stdout.text())) || `exit code ${exitCode}`;
}

/** A command of the config, which is never empty. */
export function commandWords([program = '', ...words]: readonly string[]): [string, ...string[]] {
  return [program, ...words];
}

/** What a program said at its end. */
function lastLines(stderr: string): string {
  return stderr.trim().split('\n').slice(-8).join('\n');
}

function dumpFailed(name: string, why: string, cause?: unknown): AppError {
  return new AppError({
    code: 'backup/accessory',
    what: `the dump command of ${name} failed`,
    why,
    hint: `holdfast logs ${name}; correct accessories.${name}.dump, holdfast apply, then \`holdfast backup run\``,
    cause,
  });
}
