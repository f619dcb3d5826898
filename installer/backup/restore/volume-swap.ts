import { posix } from 'node:path';
import type { Engine } from '../../engine/engine.ts';
import type { Host } from '../../host/host.ts';
import type { Report } from '../../model/events.ts';
import type { Paths } from '../../model/paths.ts';
import { newBackupId } from '../backup-id.ts';
import type { BackupContext } from '../context.ts';
import {
  type HelperRequest,
  helperArgv,
  removeHelpers,
  requireVolume,
  VOLUME_MOUNT,
} from '../helper-container.ts';
import { layDown } from './lay-down.ts';
import {
  type Journal,
  journalFile,
  noteSwap,
  readJournal,
  saveJournal,
  unfinishedSwaps,
} from './swap-journal.ts';

export interface VolumeRestore {
  readonly id: string;
  readonly volume: string;
  readonly image: string;
  /** Fills the new folder from standard input; a fixed shell text, `$1` is the folder. */
  readonly fillScript: string;
  readonly content: () => AsyncIterable<Uint8Array>;
  /** Asked before anything that runs is stopped; a no throws. */
  readonly consent: (containers: readonly string[]) => Promise<void>;
  readonly holdServer: HoldServer;
}

/** Works while nobody else changes the server: an apply would start what the swap has stopped. */
export type HoldServer = <T>(work: () => Promise<T>) => Promise<T>;

/** What laying down files of any owner takes. */
export const FILL_CAPABILITIES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'DAC_READ_SEARCH',
  'FOWNER',
  'FSETID',
  'MKNOD',
  'SETFCAP',
];

// `$1` is the volume, `$2` the token, `$3` what fills the folder. What other attempts laid down and never swapped
// in goes first.
const FILL = `set -eu
cd "$1"
find . -mindepth 1 -maxdepth 1 -name '.holdfast-restor*' -exec rm -rf -- {} +
mkdir -m 0700 -- ".holdfast-restoring-$2"
sh -eu -c "$3" sh ".holdfast-restoring-$2"
sync -f .`;

// A step of its own: a stream that breaks off between two files looks whole to tar, and only we know better.
const COMPLETE = `set -eu
cd "$1"
mv -- ".holdfast-restoring-$2" ".holdfast-restored-$2"
sync -f .`;

const TAKE_BACK = `rm -rf -- "$1/.holdfast-restored-$2" "$1/.holdfast-restoring-$2"`;

// First all that is there moves aside, then what was restored moves up. Each step can be cut and done again:
// the name without ".moving" says that the first one has ended.
const SWAP = `set -eu
cd "$1"
restored=".holdfast-restored-$2" before=".holdfast-before-$2"
[ -d "$restored" ] || exit 0
if [ ! -d "$before" ]; then
  mkdir -p -m 0700 -- "$before.moving"
  find . -mindepth 1 -maxdepth 1 ! -name '.holdfast-*' -exec mv -t "$before.moving" -- {} +
  sync -f .
  mv -- "$before.moving" "$before"
  sync -f .
fi
find "$restored" -mindepth 1 -maxdepth 1 -exec mv -t . -- {} +
chown --reference="$restored" . && chmod --reference="$restored" .
sync -f .
rmdir -- "$restored"`;

/** The server whose volumes are swapped. */
export interface SwapServer {
  readonly host: Host;
  readonly engine: Engine;
  readonly paths: Paths;
  readonly project: string;
}

/**
 * Restores the files of a volume beside the live ones, then stops whoever uses it, swaps, and starts him again.
 * The files that were there stay in a hidden folder of the volume. Killed at any moment, the same restore
 * carries on, and so does the next apply. @returns where the files that were there are kept
 */
export async function replaceVolume(
  context: BackupContext,
  restore: VolumeRestore,
): Promise<{ readonly kept: string }> {
  const { host, engine, paths, settings, now } = context;
  const { id, volume, image, holdServer } = restore;
  const server = { host, engine, paths, project: settings.project };
  await requireVolume(host, volume);
  const file = journalFile(paths, volume);
  const found = await readJournal(host, file, id);
  if (found?.phase === 'swapping') {
    await holdServer(() => finishSwap(server, volume, found));
    return { kept: await keptFolder(host, volume, found.token) };
  }
  await removeHelpers(host, engine, settings.project, taskOf(volume));
  const begun = { version: 1, phase: 'preparing', stopped: [] } as const;
  const journal: Journal = found ?? { ...begun, id, token: newBackupId(now()), image };
  await saveJournal(host, file, journal);
  const helper = helperFor(server, volume, journal);
  try {
    const filling = helperRequest(server, volume, journal, [FILL, restore.fillScript]);
    await layDown(filling, restore.content(), 'the files');
    await host.run({ argv: helper(COMPLETE) });
    const users = await usersOf(server, volume, 'running');
    await restore.consent(users.map(({ name }) => name));
  } catch (error) {
    await removeHelpers(host, engine, settings.project, taskOf(volume));
    await host.run({ argv: helper(TAKE_BACK) });
    await host.remove(file);
    throw error;
  }
  await holdServer(async () => {
    // Again: while the question stood, an apply may have replaced them.
    const users = await usersOf(server, volume, 'running');
    const stopped = users.map((user) => user.id);
    const swapping: Journal = { ...journal, phase: 'swapping', stopped };
    await saveJournal(host, file, swapping);
    await finishSwap(server, volume, swapping);
  });
  return { kept: await keptFolder(host, volume, journal.token) };
}

/**
 * Carries on with every swap that was killed. For whoever starts containers: one that starts on the half of a
 * volume would fill the gap with new files. The caller holds the server's lock, as the swap itself does.
 */
export async function finishSwaps(server: SwapServer, report: Report): Promise<void> {
  for (const { volume, journal } of await unfinishedSwaps(server.host, server.paths)) {
    report({
      kind: 'notice',
      text: `finishing the restore of ${journal.id} into ${volume}, which was interrupted in its swap`,
    });
    await finishSwap(server, volume, journal);
  }
}

async function finishSwap(server: SwapServer, volume: string, journal: Journal): Promise<void> {
  const { host, engine, paths, project } = server;
  await noteSwap(host, paths, volume, journal);
  await removeHelpers(host, engine, project, taskOf(volume));
  for (const { id } of await usersOf(server, volume, 'running')) {
    await host.run({ argv: ['docker', 'stop', '--time', '60', id] });
  }
  await host.run({ argv: helperFor(server, volume, journal)(SWAP) });
  const there = new Set((await usersOf(server, volume, 'all')).map(({ id }) => id));
  // One that somebody has removed meanwhile is not ours to start any more.
  for (const container of journal.stopped.filter((id) => there.has(id))) {
    await host.run({ argv: ['docker', 'start', container] });
  }
  await host.remove(journalFile(paths, volume));
}

function taskOf(volume: string): string {
  return `restore-${volume}`;
}

function helperFor(
  server: SwapServer,
  volume: string,
  journal: Journal,
): (script: string) => [string, ...string[]] {
  return (script) => helperArgv(helperRequest(server, volume, journal, [script]));
}

function helperRequest(
  { project }: SwapServer,
  volume: string,
  { image, token }: Journal,
  [script, ...more]: readonly [string, ...string[]],
): HelperRequest {
  return {
    project,
    task: taskOf(volume),
    image,
    argv: ['sh', '-c', script, 'sh', VOLUME_MOUNT, token, ...more],
    volume: { name: volume, readOnly: false },
    capabilities: FILL_CAPABILITIES,
  };
}

async function keptFolder(host: Host, volume: string, token: string): Promise<string> {
  const { stdout } = await host.run({
    argv: ['docker', 'volume', 'inspect', '--format', '{{.Mountpoint}}', volume],
  });
  return posix.join(stdout.trim(), `.holdfast-before-${token}`);
}

interface User {
  readonly id: string;
  readonly name: string;
}

/** Containers of the project that mount the volume. */
async function usersOf(
  { host, project }: SwapServer,
  volume: string,
  which: 'running' | 'all',
): Promise<User[]> {
  const { stdout } = await host.run({
    argv: [
      'docker',
      'ps',
      ...(which === 'all' ? ['--all'] : []),
      ...['--filter', `volume=${volume}`],
      ...['--filter', `label=io.holdfast.project=${project}`],
      ...['--no-trunc', '--format', '{{.ID}} {{.Names}}'],
    ],
  });
  return stdout.split('\n').flatMap((line) => {
    const [id, name] = line.split(' ');
    return id === undefined || id === '' ? [] : [{ id, name: name ?? id }];
  });
}
