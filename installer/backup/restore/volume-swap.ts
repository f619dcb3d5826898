import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { AppError } from '../../errors.ts';
import { startChild } from '../../host/child.ts';
import { feed } from '../../host/feed.ts';
import { newBackupId } from '../backup-id.ts';
import type { BackupContext } from '../context.ts';
import { helperArgv, removeHelpers, requireVolume, VOLUME_MOUNT } from '../helper-container.ts';

export interface VolumeRestore {
  readonly id: string;
  readonly volume: string;
  readonly image: string;
  /** Fills the new folder from standard input; a fixed shell text, `$1` is the folder. */
  readonly fillScript: string;
  readonly content: () => AsyncIterable<Uint8Array>;
  /** Asked before anything that runs is stopped; a no throws. */
  readonly consent: (containers: readonly string[]) => Promise<void>;
}

/** What a restore that was killed must know to carry on. */
interface Journal {
  readonly version: 1;
  readonly id: string;
  /** Names the folders of this attempt. */
  readonly token: string;
  /** From `swapping` on the live files may be on their way: nothing is laid down again. */
  readonly phase: 'preparing' | 'swapping';
  /** Containers that were running and have to run again. */
  readonly stopped: readonly string[];
}

const CAPABILITIES = [
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

/**
 * Restores the files of a volume beside the live ones, then stops whoever uses it, swaps, and starts him again.
 * The files that were there stay in a hidden folder of the volume. Killed at any moment, the same restore
 * carries on. @returns where the files that were there are kept
 */
export async function replaceVolume(
  context: BackupContext,
  restore: VolumeRestore,
): Promise<{ readonly kept: string }> {
  const { host, engine, paths, settings } = context;
  const task = `restore-${restore.volume}`;
  await requireVolume(host, restore.volume);
  await removeHelpers(host, engine, settings.project, task);
  const journalFile = posix.join(paths.agent, 'restores', `${restore.volume}.json`);
  const helper = (script: string, ...more: string[]): [string, ...string[]] =>
    helperArgv({
      project: settings.project,
      task,
      image: restore.image,
      argv: ['sh', '-c', script, 'sh', VOLUME_MOUNT, journal.token, ...more],
      volume: { name: restore.volume, readOnly: false },
      capabilities: CAPABILITIES,
    });

  let journal = await readJournal(context, journalFile, restore.id);
  if (journal.phase === 'preparing') {
    await saveJournal(context, journalFile, journal);
    let users: readonly User[];
    try {
      await fill(helper(FILL, restore.fillScript), restore.content());
      await host.run({ argv: helper(COMPLETE) });
      users = await usersOf(context, restore.volume, 'running');
      await restore.consent(users.map(({ name }) => name));
    } catch (error) {
      await removeHelpers(host, engine, settings.project, task);
      await host.run({ argv: helper(TAKE_BACK) });
      await host.remove(journalFile);
      throw error;
    }
    journal = { ...journal, phase: 'swapping', stopped: users.map(({ id }) => id) };
    await saveJournal(context, journalFile, journal);
  }
  for (const { id } of await usersOf(context, restore.volume, 'running')) {
    await host.run({ argv: ['docker', 'stop', '--time', '60', id] });
  }
  await host.run({ argv: helper(SWAP) });
  const there = new Set((await usersOf(context, restore.volume, 'all')).map(({ id }) => id));
  // One that an apply has replaced meanwhile is not ours to start any more.
  for (const container of journal.stopped.filter((id) => there.has(id))) {
    await host.run({ argv: ['docker', 'start', container] });
  }
  await host.remove(journalFile);
  const { stdout } = await host.run({
    argv: ['docker', 'volume', 'inspect', '--format', '{{.Mountpoint}}', restore.volume],
  });
  return { kept: posix.join(stdout.trim(), `.holdfast-before-${journal.token}`) };
}

async function fill(
  argv: readonly [string, ...string[]],
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const child = startChild({ argv });
  child.stdout.on('error', () => undefined).resume();
  await feed(child.stdin, Readable.from(content, { objectMode: false }), () =>
    child.kill('SIGKILL'),
  );
  const { exitCode, stderr } = await child.done;
  if (exitCode === 0) return;
  throw new AppError({
    code: 'restore/failed',
    what: 'the files could not be laid down beside the live ones',
    why: stderr.trim().split('\n').slice(-8).join('\n'),
    hint: 'the live files were not touched; free some space, then run the same restore again',
  });
}

interface User {
  readonly id: string;
  readonly name: string;
}

/** Containers of the project that mount the volume. */
async function usersOf(
  { host, settings }: BackupContext,
  volume: string,
  which: 'running' | 'all',
): Promise<User[]> {
  const { stdout } = await host.run({
    argv: [
      'docker',
      'ps',
      ...(which === 'all' ? ['--all'] : []),
      ...['--filter', `volume=${volume}`],
      ...['--filter', `label=io.holdfast.project=${settings.project}`],
      ...['--no-trunc', '--format', '{{.ID}} {{.Names}}'],
    ],
  });
  return stdout.split('\n').flatMap((line) => {
    const [id, name] = line.split(' ');
    return id === undefined || id === '' ? [] : [{ id, name: name ?? id }];
  });
}

async function readJournal(
  { host, now }: BackupContext,
  file: string,
  id: string,
): Promise<Journal> {
  const content = await host.read(file);
  if (content !== undefined) {
    const journal = JSON.parse(Buffer.from(content).toString('utf8')) as Journal;
    if (journal.id === id) return journal;
    if (journal.phase === 'swapping') throw unfinished(journal.id);
  }
  return { version: 1, id, token: newBackupId(now()), phase: 'preparing', stopped: [] };
}

async function saveJournal({ host }: BackupContext, file: string, journal: Journal): Promise<void> {
  await host.write(file, `${JSON.stringify(journal)}\n`, { mode: 0o600, uid: 0, gid: 0 });
}

function unfinished(id: string): AppError {
  return new AppError({
    code: 'restore/unfinished',
    what: `a restore of ${id} was interrupted in the middle of its swap`,
    hint: `finish it first: \`holdfast restore ${id}\``,
  });
}
