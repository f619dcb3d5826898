import { streamCut } from '../../engine/frames.ts';
import { childOutput } from '../../host/child-output.ts';
import type { Host } from '../../host/host.ts';
import type { BackupSource } from '../../model/backup-settings.ts';
import { calmDown, type Held } from '../calm.ts';
import type { BackupContext } from '../context.ts';
import {
  type HelperRequest,
  helperArgv,
  helperImage,
  requireVolume,
  VOLUME_MOUNT,
} from '../helper-container.ts';
import { objectNamePart } from '../keys.ts';
import { unlessSwapped } from '../restore/swap-journal.ts';
import { marked } from '../whole-stream.ts';
import { compress } from '../zstd.ts';
import type { Source } from './source.ts';

type VolumeSource = Extract<BackupSource, { kind: 'volume' }>;

/** tar says so when a file changed while it was read. */
const CHANGED_WHILE_READ = 1;
/** What a restore leaves in a volume until it is dropped by hand. */
const OURS = './.holdfast-*';

/** The files of a volume as a tar stream through zstd, read by a throw-away container. */
export async function openVolumeSource(
  context: BackupContext,
  source: VolumeSource,
  job: string,
): Promise<Source> {
  const request = await readerOf(context, source.volume, `backup-${job}`);
  const expectedBytes = await volumeBytes(context.host, request);
  let calming: Promise<Held> | undefined;

  async function* files(): AsyncGenerator<Uint8Array> {
    if (source.calm !== undefined) calming = calmDown(context, source, job);
    const held = await calming;
    try {
      const { host, paths } = context;
      const content = tarOf(context, request);
      for await (const chunk of unlessSwapped(host, paths, source.volume, content)) {
        held?.assertStill();
        yield chunk;
      }
      held?.assertStill();
    } finally {
      // Before the store has everything: nobody is held for the time of an upload's end.
      await held?.wake();
    }
  }

  /** Also when nobody read to the end: the stream may not know yet. */
  async function close(): Promise<void> {
    const held = await calming?.catch(() => undefined);
    await held?.wake();
  }

  return {
    method: 'archive',
    tools: { image: request.image },
    objects: [
      {
        name: `volume-${objectNamePart(source.name)}.tar.zst`,
        role: 'volume',
        format: 'tar.zst',
        expectedBytes,
        // An empty folder makes two blocks of zeros, which compress to this.
        floorBytes: 20,
        content: { kind: 'stream', read: () => compress(files()) },
      },
    ],
    close,
  };
}

/** @throws AppError `engine/stream-cut` */
async function* tarOf(
  { report }: Pick<BackupContext, 'report'>,
  request: Omit<HelperRequest, 'argv'>,
): AsyncGenerator<Uint8Array> {
  const { argv, plain } = marked(TAR);
  const output = childOutput(helperArgv({ ...request, argv }), (exitCode, stderr) => {
    if (exitCode !== CHANGED_WHILE_READ) return false;
    report({ kind: 'warning', code: 'backup/changed-while-read', text: stderr.trim() });
    return true;
  });
  const code = yield* plain(output);
  if (code === undefined || code > CHANGED_WHILE_READ) throw streamCut();
}

/** A throw-away container that may read all of a volume. @throws AppError `backup/no-volume` */
export async function readerOf(
  { host, engine, settings }: Pick<BackupContext, 'host' | 'engine' | 'settings'>,
  volume: string,
  task: string,
): Promise<Omit<HelperRequest, 'argv'>> {
  await requireVolume(host, volume);
  return {
    project: settings.project,
    task,
    image: await helperImage(engine, settings.project, settings.postgres?.image),
    volume: { name: volume, readOnly: true },
    capabilities: ['DAC_READ_SEARCH'],
  };
}

export async function volumeBytes(
  host: Host,
  request: Omit<HelperRequest, 'argv'>,
): Promise<number> {
  const { stdout } = await host.run({
    argv: helperArgv({ ...request, argv: ['du', '-s', '-B1', VOLUME_MOUNT] }),
    // 1: a file went while it looked; the size is an estimate anyway.
    okExitCodes: [0, 1],
  });
  return Number.parseInt(stdout, 10) || 0;
}

const TAR: [string, ...string[]] = [
  'tar',
  '--create',
  '--file=-',
  '--numeric-owner',
  '--one-file-system',
  '--sparse',
  '--xattrs',
  '--xattrs-include=*',
  '--acls',
  `--directory=${VOLUME_MOUNT}`,
  `--exclude=${OURS}`,
  '.',
];
