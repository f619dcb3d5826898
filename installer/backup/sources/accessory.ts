import { AppError } from '../../errors.ts';
import { childOutput } from '../../host/child-output.ts';
import { CommandError } from '../../host/command-error.ts';
import type { BackupSource } from '../../model/backup-settings.ts';
import type { BackupContext } from '../context.ts';
import { objectNamePart } from '../keys.ts';
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
        content: { kind: 'stream', read: () => compress(accessoryDump(source)) },
      },
    ],
    close: async () => undefined,
  };
}

/**
 * The plain output of the dump command.
 * @throws AppError `backup/accessory` after the last byte when it failed, or wrote nothing
 */
export async function* accessoryDump({
  name,
  container,
  dump,
}: AccessorySource): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  try {
    for await (const chunk of childOutput(['docker', 'exec', container, ...dump])) {
      bytes += chunk.length;
      yield chunk;
    }
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw dumpFailed(name, lastLines(error.stderr) || error.what, error);
  }
  if (bytes === 0) throw dumpFailed(name, 'it wrote nothing to its standard output');
}

/** What a program said at its end. */
export function lastLines(stderr: string): string {
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
