import { readText } from '../files.ts';

/** Names a process so that a reused number is not taken for it. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot, from `/proc/<pid>/stat`. */
  readonly startTime: string;
  readonly bootId: string;
}

export function bootId(): string {
  return (readText('/proc/sys/kernel/random/boot_id') ?? '').trim();
}

/** Undefined when there is no such process, or only its remains. */
export function identify(pid: number): ProcessIdentity | undefined {
  let stat: string | undefined;
  try {
    stat = readText(`/proc/${pid}/stat`);
  } catch {
    // ESRCH: it ended between the opening and the reading.
    return undefined;
  }
  if (stat === undefined) return undefined;
  // The name before it may hold spaces and brackets; fields count from the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  if (state === 'Z' || state === 'X') return undefined;
  return { pid, startTime: fields[19] ?? '', bootId: bootId() };
}

export function isAlive(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  return now?.startTime === identity.startTime && now.bootId === identity.bootId;
}

/** Signals a whole process group; nothing there is no error. */
export function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
