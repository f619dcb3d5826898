import { execFile } from 'node:child_process';
import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BackupSettings } from '../installer/model/backup-settings.ts';
import { platformImages } from '../test/integration/support/platform-images.ts';
import { PitrStack } from '../test/support/pitr-stack.ts';
import { outcomeOf } from './backup.ts';
import { postgresCpu, timed } from './backup-peers.ts';
import { baseLimits } from './base-limits.ts';
import type { Figure } from './figure.ts';
import { type Measured, node, ours, peakOfContainer } from './measure.ts';

const SIZES = (process.env['HOLDFAST_BENCH_GB'] ?? '1').split(',').map(Number);
/** Of pgbench: 15 MB each with their index. */
const SCALES_OF_A_GIGABYTE = 67;
const SERVER_UID = 999;
const MB = 1e6;
const MIB = 1024 ** 2;
const PEER = new URL('pgbackrest/build.sh', import.meta.url).pathname;
const RESTORE = new URL('restore-base-child.ts', import.meta.url).pathname;
const run = promisify(execFile);

/** Base backups and their restore beside pgBackRest, on pgbench's tables, both to a folder. */
export async function benchBase(): Promise<Figure[]> {
  await run('npm', ['run', 'build']);
  const { postgres = '' } = await platformImages('postgres');
  const { stdout } = await run(PEER, { maxBuffer: 1024 ** 2 * 64 });
  const figures: Figure[] = [];
  for (const size of SIZES) figures.push(...(await benchSize(postgres, stdout.trim(), size)));
  return figures;
}

async function benchSize(postgres: string, peerImage: string, size: number): Promise<Figure[]> {
  const pitr = await PitrStack.start(postgres, 10, [
    ...['--shm-size', '512m'],
    ...['--volume', '/var/run/postgresql'],
  ]);
  try {
    const { stack } = pitr;
    await stack.sql('postgres', 'CREATE DATABASE shop;');
    const scale = `${Math.round(SCALES_OF_A_GIGABYTE * size)}`;
    await stack.docker([
      ...['exec', '--user', 'postgres', stack.container],
      ...['pgbench', '--initialize', '--quiet', '--scale', scale, 'shop'],
    ]);
    const bytes = Number(await stack.sql('postgres', "SELECT pg_database_size('shop')"));
    const settings: BackupSettings = stack.settings(pitr.over());
    const file = join(stack.paths.stack, 'agent', 'backup.json');
    await stack.host.write(file, JSON.stringify(settings), { mode: 0o600, uid: 0, gid: 0 });
    pitr.startShipper();
    await pitr.until('the slot is there', ({ checkedAt }) => checkedAt !== '');
    const peer = await startPeer(pitr, peerImage);
    return await measure(pitr, peer, `${size} GB (${Math.round(bytes / MB)} MB)`, bytes);
  } finally {
    await pitr.stop();
  }
}

/** @returns id of a container that sees the server's files and its socket */
async function startPeer({ stack }: PitrStack, image: string): Promise<string> {
  const folder = join(stack.root, 'peer');
  for (const name of ['repo', 'target']) {
    await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
    await chown(join(folder, name), SERVER_UID, SERVER_UID);
  }
  const id = await stack.docker([
    ...['run', '--detach', '--init', '--network', 'none', '--name', `${stack.project}-peer`],
    ...stack.labels(),
    ...['--user', `${SERVER_UID}:${SERVER_UID}`, '--volumes-from', stack.container],
    ...['--volume', `${folder}/repo:/repo`, '--volume', `${folder}/target:/target`],
    image,
  ]);
  await stack.docker(['exec', id, 'pgbackrest', '--stanza=shop', 'stanza-create']);
  return id;
}

/** What pgBackRest needs: its own processes, and the server's beside. */
async function theirs(
  { stack }: PitrStack,
  peer: string,
  argv: readonly string[],
): Promise<Omit<Measured, 'output'> & { readonly postgres: number }> {
  const cpuOfPeer = async () => (await stack.engine.stats(peer)).cpuSeconds;
  const [own, postgres] = [await cpuOfPeer(), await postgresCpu(stack)];
  let seconds = 0;
  const peak = await peakOfContainer(peer, async () => {
    seconds = await timed(() =>
      stack.docker(['exec', peer, 'pgbackrest', '--stanza=shop', ...argv]),
    );
  });
  return {
    seconds,
    peak,
    cpu: (await cpuOfPeer()) - own,
    postgres: (await postgresCpu(stack)) - postgres,
  };
}

async function measure(
  pitr: PitrStack,
  peer: string,
  label: string,
  bytes: number,
): Promise<Figure[]> {
  const { stack } = pitr;
  const full = ['--type=full', 'backup'];
  // Whoever comes first would write out what filling the tables left dirty.
  await stack.sql('postgres', 'CHECKPOINT;');
  await theirs(pitr, peer, full);
  const before = await theirs(pitr, peer, full);
  const start = await postgresCpu(stack);
  const backup = await ours(stack, ['backup', 'run', 'base', '--json']);
  const postgres = (await postgresCpu(stack)) - start;
  const after = await theirs(pitr, peer, full);
  const { storedSeconds, seconds: proved, bytes: stored } = outcomeOf(backup.output);
  if (storedSeconds === undefined) throw new Error('the backup does not tell when it was stored');
  // With the start of the program, as pgBackRest's seconds have it.
  const lay = storedSeconds + backup.seconds - proved;
  const peerSeconds = (before.seconds + after.seconds) / 2;
  const limits = await baseLimits(stack, stored);
  const longest = Math.max(...Object.values(limits));

  await pitr.shipped();
  const peerRestore = await theirs(pitr, peer, ['restore', '--type=none', '--pg1-path=/target']);
  // Disks that hold the cluster twice are enough.
  await stack.docker(['exec', peer, 'find', '/target', '-mindepth', '1', '-delete']);
  // Compiled before, since the program as it is shipped needs no memory for that either.
  const compiled = { NODE_COMPILE_CACHE: join(stack.root, 'compiled') };
  await node(stack, [RESTORE], compiled);
  const words = [JSON.stringify(stack.identity()), JSON.stringify(pitr.over())];
  const restore = await node(stack, [RESTORE, ...words], compiled);
  const { seconds: checked } = JSON.parse(restore.output) as { seconds: number };
  const rate = (seconds: number): string => `${(bytes / MB / seconds).toFixed(0)} MB/s`;
  const mib = (value: number): string => `${Math.round(value / MIB)} MiB`;
  const cpu = (...parts: number[]): string => parts.map((part) => part.toFixed(1)).join(', ');
  return [
    { what: `${label}: pgBackRest, two processes, zst 1, AES`, value: rate(peerSeconds) },
    { what: `${label}: base backup until it lay there`, value: rate(lay) },
    { what: `${label}: base backup until proved`, value: rate(backup.seconds) },
    {
      what: `${label}: times as fast as pgBackRest, until it lay there`,
      value: (peerSeconds / lay).toFixed(2),
      goal: '> 1',
    },
    {
      what: `${label}: disk, stream, compression, writing, each by itself`,
      value: Object.values(limits).map(rate).join(', '),
    },
    {
      what: `${label}: times as fast as the slowest of them, until it lay there`,
      value: (longest / lay).toFixed(2),
      goal: '≥ 0.7',
    },
    { what: `${label}: bytes stored`, value: `${Math.round(stored / MB)} MB` },
    {
      what: `${label}: CPU seconds of pgBackRest: Postgres, its own`,
      value: cpu((before.postgres + after.postgres) / 2, (before.cpu + after.cpu) / 2),
    },
    {
      what: `${label}: CPU seconds of the base until proved: Postgres, ours`,
      value: cpu(postgres, backup.cpu),
      goal: '≤ pgBackRest',
    },
    { what: `${label}: peak memory of pgBackRest`, value: mib(Math.max(before.peak, after.peak)) },
    { what: `${label}: peak memory of ours`, value: mib(backup.peak), goal: '≤ 200 MiB' },
    {
      what: `${label}: pgBackRest restores the files alone`,
      value: `${peerRestore.seconds.toFixed(1)} s`,
    },
    {
      what: `${label}: restored, rolled forward, every row and page read`,
      value: `${checked.toFixed(1)} s`,
    },
    { what: `${label}: peak memory of the restore`, value: mib(restore.peak), goal: '≤ 200 MiB' },
  ];
}
