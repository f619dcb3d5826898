import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { BackupStack } from '../test/support/backup-stack.ts';
import { timed } from './backup-peers.ts';

export const PROGRAM = new URL('../dist/installer/cli/main.js', import.meta.url).pathname;
const PAGE_BYTES = Number(execFileSync('getconf', ['PAGESIZE']));
const LOOK_MILLISECONDS = 25;

export interface Measured {
  readonly seconds: number;
  /** Bytes that its processes had resident at most. */
  readonly peak: number;
  /** Seconds of processor time, of all that it started on this machine. */
  readonly cpu: number;
  readonly output: string;
}

/** The program as it is shipped, with the memory of it and all that it starts on this machine. */
export function ours(stack: BackupStack, argv: readonly string[]): Promise<Measured> {
  return node(stack, [PROGRAM, ...argv]);
}

/** The same of any script of ours. @param env more variables @throws Error when it fails */
export async function node(
  stack: BackupStack,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Measured> {
  let peak = 0;
  let output = '';
  const cpuBefore = childrenCpu();
  const seconds = await timed(async () => {
    const child = spawn(process.execPath, argv, {
      env: { ...process.env, HOLDFAST_ROOT: stack.root, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.on('data', (text: Buffer) => {
      output += text.toString();
    });
    let said = '';
    child.stderr.on('data', (text: Buffer) => {
      said += text.toString();
    });
    const timer = setInterval(() => {
      peak = Math.max(peak, memoryOfTree(child.pid ?? 0));
    }, LOOK_MILLISECONDS);
    const code = await new Promise((resolve) => child.once('close', resolve));
    clearInterval(timer);
    if (code !== 0) throw new Error(`${argv.join(' ')} exited ${code}: ${said}${output}`);
  });
  return { seconds, peak, cpu: childrenCpu() - cpuBefore, output };
}

/** The greatest memory of the processes in a container while `work` goes on, bytes resident. */
export async function peakOfContainer(id: string, work: () => Promise<unknown>): Promise<number> {
  const processes = ['', '/pids']
    .flatMap((controller) => [
      `/sys/fs/cgroup${controller}/docker/${id}/cgroup.procs`,
      `/sys/fs/cgroup${controller}/system.slice/docker-${id}.scope/cgroup.procs`,
    ])
    .find(existsSync);
  if (processes === undefined) throw new Error(`no control group of ${id}`);
  let peak = 0;
  const timer = setInterval(() => {
    const pids = readFileSync(processes, 'utf8')
      .split('\n')
      .filter((pid) => pid !== '');
    peak = Math.max(
      peak,
      pids.reduce((sum, pid) => sum + residentBytes(Number(pid)), 0),
    );
  }, LOOK_MILLISECONDS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return peak;
}

/** Processor seconds of all that this process has started and that has ended (`cutime` and `cstime`, ticks of 10 ms). */
function childrenCpu(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

/**
 * Resident; the libraries that two of ours share count twice. Looking up proportional shares instead walks all page
 * tables, and at 40 looks a second took most of a processor from what is measured here.
 */
function memoryOfTree(pid: number): number {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return children
      .split(' ')
      .filter((child) => child !== '')
      .reduce((sum, child) => sum + memoryOfTree(Number(child)), residentBytes(pid));
  } catch (error) {
    return ofEnded(error);
  }
}

function residentBytes(pid: number): number {
  try {
    const [, pages] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ');
    return Number(pages) * PAGE_BYTES;
  } catch (error) {
    return ofEnded(error);
  }
}

/** What is had of a process that may end while we look at it. Throws what is no such end. */
export function ofEnded(error: unknown): 0 {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ESRCH') return 0;
  throw error;
}
