import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import type { BackupSettings } from '../installer/model/backup-settings.ts';
import { BackupStack } from '../test/support/backup-stack.ts';
import { fill } from './backup.ts';
import type { Figure } from './figure.ts';
import { PROGRAM } from './measure.ts';

/** Base backups, each between two pauses of about its length. */
const ROUNDS = Number(process.env['HOLDFAST_BENCH_ROUNDS'] ?? '5');
const GIGABYTES = Number((process.env['HOLDFAST_BENCH_GB'] ?? '1').split(',')[0]);
/** Seconds. */
const SHORTEST_PAUSE = 8;
/** As the agent's unit has it for what it starts. */
const AGENT_NICENESS = 5;
/** A few more than processors, so that none is ever idle. */
const CLIENTS = 4;

const LOADS = {
  'pgbench, its own mix': [],
  'pgbench, reads alone': ['--select-only'],
} as const;

/** Transactions of the second that ended then. */
interface Second {
  readonly at: number;
  readonly tps: number;
}

/** How much slower a busy product is while a base backup is made, to a folder, as the agent makes it. */
export async function benchBaseLoad(postgres: string): Promise<Figure[]> {
  execFileSync('npm', ['run', 'build'], { stdio: 'ignore' });
  const stack = await BackupStack.start(postgres, ['--shm-size', '512m']);
  try {
    const base = stack.job({ name: 'base', method: 'physical' });
    const settings: BackupSettings = stack.settings({ jobs: [base] });
    const file = join(stack.paths.stack, 'agent', 'backup.json');
    await stack.host.write(file, JSON.stringify(settings), { mode: 0o600, uid: 0, gid: 0 });
    const bytes = await fill(stack, GIGABYTES);
    await stack.docker(inside(stack, ['--initialize', '--quiet', '--scale', '20']));
    const figures: Figure[] = [];
    for (const [what, options] of Object.entries(LOADS)) {
      figures.push(...(await slowdown(stack, `${what}, ${(bytes / 1e9).toFixed(1)} GB`, options)));
    }
    return figures;
  } finally {
    await stack.stop();
  }
}

function inside(stack: BackupStack, argv: readonly string[]): string[] {
  return ['exec', '--user', 'postgres', stack.container, 'pgbench', ...argv, 'shop'];
}

async function slowdown(
  stack: BackupStack,
  what: string,
  options: readonly string[],
): Promise<Figure[]> {
  const seconds: Second[] = [];
  const load = pgbench(stack, options, seconds);
  const phases: { from: number; to: number }[] = [];
  const phase = async (work: () => Promise<unknown>): Promise<void> => {
    const from = Date.now();
    await work();
    phases.push({ from, to: Date.now() });
  };
  const pause = () => wait(SHORTEST_PAUSE * 1_000);
  await pause();
  await phase(pause);
  for (let round = 0; round < ROUNDS; round += 1) {
    await phase(() => baseBackup(stack));
    await phase(pause);
  }
  await stack.sql(
    'postgres',
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbench'",
  );
  await load;
  const tps = phases.map(({ from, to }) => {
    const within = seconds.filter(({ at }) => at > from + 1_000 && at <= to);
    return within.reduce((sum, second) => sum + second.tps, 0) / within.length;
  });
  const slower = Array.from({ length: ROUNDS }, (_, round) => {
    const [before = 0, during = 0, after = 0] = tps.slice(2 * round);
    return (1 - during / ((before + after) / 2)) * 100;
  }).sort((a, b) => a - b);
  const quiet = tps.filter((_, index) => index % 2 === 0);
  const took = phases.filter((_, index) => index % 2 === 1).map(({ from, to }) => to - from);
  const percent = (value: number | undefined): string => `${(value ?? 0).toFixed(1)} %`;
  return [
    { what: `${what}: transactions a second, alone`, value: mean(quiet).toFixed(0) },
    { what: `${what}: a base backup takes`, value: `${(mean(took) / 1_000).toFixed(1)} s` },
    {
      what: `${what}: slower meanwhile, median of ${ROUNDS}`,
      value: percent(slower[Math.floor(slower.length / 2)]),
      goal: '≤ 10 %',
    },
    { what: `${what}: least, most`, value: `${percent(slower[0])}, ${percent(slower.at(-1))}` },
  ];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Until its sessions are ended from outside. */
async function pgbench(
  stack: BackupStack,
  options: readonly string[],
  seconds: Second[],
): Promise<void> {
  const argv = ['--client', `${CLIENTS}`, '--time', '3600', '--progress', '1', ...options];
  const child = spawn('docker', inside(stack, argv), { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  for await (const line of createInterface(child.stderr)) {
    const [, tps] = /^progress: [\d.]+ s, ([\d.]+) tps/.exec(line) ?? [];
    if (tps !== undefined) seconds.push({ at: Date.now(), tps: Number(tps) });
  }
  await ended;
}

async function baseBackup(stack: BackupStack): Promise<void> {
  const argv = ['-n', `${AGENT_NICENESS}`, process.execPath, PROGRAM, 'backup', 'run', 'base'];
  const child = spawn('nice', argv, {
    env: { ...process.env, HOLDFAST_ROOT: stack.root },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`backup run base exited ${code}`);
}
