import { readJson } from './files.ts';
import { identify } from './jobs/process-identity.ts';

/** Of `installer/apply/lock.ts`: what tells a holder that lives from one that was killed. */
interface LockOwner {
  readonly pid: number;
  readonly startTicks: number;
  /** Run of the machine that the holder is on, and of the server that is changed. */
  readonly machine: string;
  readonly server: string;
}

/** Whether somebody changes this server now, from here or over SSH. @param lock `paths.applyLock` */
export function isServerChanging(lock: string): boolean {
  const owner = readJson<LockOwner>(lock);
  if (owner === undefined || owner.server !== runOfThisMachine()) return false;
  // Over SSH the holder cannot be looked at from here: it counts as alive.
  if (owner.machine !== owner.server) return true;
  return identify(owner.pid)?.startTime === String(owner.startTicks);
}

function runOfThisMachine(): string {
  const first = identify(1);
  return first === undefined ? '' : `${first.bootId}/${first.startTime}`;
}
