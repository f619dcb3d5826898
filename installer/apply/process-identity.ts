import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { Host } from '../host/host.ts';
import { readText } from './read-text.ts';

/** One run of a program on one run of a machine, such that it is never taken for another. */
export interface ProcessIdentity {
  /** For messages: `user@machine`. */
  readonly who: string;
  readonly pid: number;
  /** Clock ticks from boot to the start of the process: tells a reused pid from the old one. */
  readonly startTicks: number;
  /** The run of the machine that the process is on. */
  readonly machine: string;
}

export interface ThisProcess extends ProcessIdentity {
  /** Whether a process of this machine still runs. */
  isAlive(pid: number, startTicks: number): Promise<boolean>;
}

export async function thisProcess(who: string): Promise<ThisProcess> {
  return {
    who,
    pid: process.pid,
    startTicks: (await localStartTicks(process.pid)) ?? 0,
    machine: runOfMachine(
      await localText('/proc/sys/kernel/random/boot_id'),
      await localText('/proc/1/stat'),
      hostname(),
    ),
    isAlive: async (pid, startTicks) => (await localStartTicks(pid)) === startTicks,
  };
}

/** The run of the machine that `host` is: another one after every reboot. */
export async function runOfHost(host: Host): Promise<string> {
  const [bootId, init] = await Promise.all(
    ['/proc/sys/kernel/random/boot_id', '/proc/1/stat'].map((path) => readText(host, path)),
  );
  return runOfMachine(bootId, init, host.name);
}

/** The kernel's boot id does not change when a container VPS restarts; the start of its process 1 does. */
function runOfMachine(
  bootId: string | undefined,
  init: string | undefined,
  fallback: string,
): string {
  if (bootId === undefined) return fallback;
  return `${bootId.trim()}/${init === undefined ? '' : startTicksOf(init)}`;
}

async function localStartTicks(pid: number): Promise<number | undefined> {
  const stat = await localText(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : startTicksOf(stat);
}

/** Field 22 of proc_pid_stat(5); the name in field 2 may hold blanks and parentheses. */
function startTicksOf(stat: string): number {
  const afterName = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(afterName[19]);
}

async function localText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    // Gone meanwhile, or no Linux: then the machine's name stands in.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return undefined;
    throw error;
  }
}
