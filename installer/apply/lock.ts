import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { z } from 'zod';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import type { Clock } from './context.ts';
import { lockHeld, lockLost, lockUnusable } from './lock-errors.ts';
import { runOfHost, type ThisProcess } from './process-identity.ts';
import { readText } from './read-text.ts';

const OwnerSchema = z.object({
  version: z.literal(1),
  /** Names this holding of the lock. */
  token: z.string(),
  who: z.string(),
  pid: z.int(),
  startTicks: z.number(),
  /** Run of the machine that the process is on. */
  machine: z.string(),
  /** Run of the server that is changed; the same as `machine` without SSH. */
  server: z.string(),
  /** UTC. */
  since: z.string(),
  command: z.string(),
});

export type LockOwner = z.infer<typeof OwnerSchema>;

export interface LockRequest {
  readonly process: ThisProcess;
  /** What the holder does, such as `holdfast apply`. */
  readonly command: string;
  /** Seconds to wait for another holder; 0 refuses at once. */
  readonly waitSeconds: number;
  readonly clock: Clock;
}

export interface HeldLock {
  /**
   * Asks a person with the lock let go, who may take all night, and takes it again after a yes. What was looked at
   * before has to be looked at again.
   * @throws AppError `lock/held`
   */
  letGoFor(question: () => Promise<boolean>): Promise<boolean>;
  /** @throws AppError `lock/lost` when somebody took it by force. */
  assertHeld(): Promise<void>;
  release(): Promise<void>;
}

const POLL_SECONDS = 1;
/** Who has said yes is not sent away because of somebody who is about to be done. */
const WAIT_AFTER_YES_SECONDS = 60;
const RACES = 5;

/**
 * Takes the lock of a server: a file that appears together with its owner by one link(2), which fails where
 * a lock stands.
 * @throws AppError `lock/held`
 */
export async function acquireLock(
  host: Host,
  paths: Paths,
  request: LockRequest,
): Promise<HeldLock> {
  let owner = await takeHolding(host, paths, request);
  const release = async (): Promise<void> => {
    const holder = await lockOwner(host, paths);
    if (holder?.token === owner.token) await host.remove(paths.applyLock);
  };
  const lock: HeldLock = {
    assertHeld: async () => {
      const holder = await lockOwner(host, paths);
      if (holder?.token !== owner.token) throw lockLost(holder, host);
    },
    letGoFor: async (question) => {
      await release();
      if (!(await question())) return false;
      const waitSeconds = Math.max(request.waitSeconds, WAIT_AFTER_YES_SECONDS);
      owner = await takeHolding(host, paths, { ...request, waitSeconds });
      return true;
    },
    release,
  };
  await orRelease(lock, () => sweepCandidates(host, paths, owner, request.process));
  return lock;
}

async function takeHolding(host: Host, paths: Paths, request: LockRequest): Promise<LockOwner> {
  const { process, clock } = request;
  const owner: LockOwner = {
    version: 1,
    token: randomBytes(8).toString('hex'),
    who: process.who,
    pid: process.pid,
    startTicks: process.startTicks,
    machine: process.machine,
    server: await runOfHost(host),
    since: clock.now().toISOString(),
    command: request.command,
  };
  await host.makeDirectory(paths.state, { mode: 0o755, uid: 0, gid: 0 });
  const deadline = clock.elapsed() + request.waitSeconds * 1000;
  for (let races = 0; !(await takeLock(host, paths, owner)); ) {
    const holder = await lockOwner(host, paths);
    if (holder === undefined) {
      races += 1;
      if (races > RACES) throw lockUnusable(paths);
      continue;
    }
    const blocker = (await isGone(holder, owner, process))
      ? await breakLock(host, paths, { stale: holder, owner, process })
      : holder;
    if (blocker === undefined) continue;
    if (clock.elapsed() >= deadline) throw lockHeld(blocker, host);
    await clock.pause(POLL_SECONDS);
  }
  return owner;
}

/** Works while holding the lock. */
export async function withLock<T>(
  host: Host,
  paths: Paths,
  request: LockRequest,
  work: (lock: HeldLock) => Promise<T>,
): Promise<T> {
  const lock = await acquireLock(host, paths, request);
  const result = await orRelease(lock, () => work(lock));
  await lock.release();
  return result;
}

/** What the work throws is not hidden by a release that fails as well. */
async function orRelease<T>(lock: HeldLock, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await lock.release().catch(() => {
      // Then the next run finds that this process is gone.
    });
    throw error;
  }
}

/** Removes the lock, whoever holds it. For a person who knows that the holder is gone. */
export async function forceUnlock(host: Host, paths: Paths): Promise<LockOwner | undefined> {
  // One that cannot be read goes as well.
  const holder = await lockOwner(host, paths).catch(() => undefined);
  await host.remove(paths.applyLock, { recursive: true });
  return holder;
}

/** Who holds the lock; undefined when it is free. */
export async function lockOwner(host: Host, paths: Paths): Promise<LockOwner | undefined> {
  return readOwner(host, paths.applyLock);
}

async function takeLock(host: Host, paths: Paths, owner: LockOwner): Promise<boolean> {
  return await takeName(host, paths, owner, paths.applyLock);
}

/** Of many exactly one gets a name, and whoever looks finds its owner in it. */
async function takeName(
  host: Host,
  paths: Paths,
  owner: LockOwner,
  name: string,
): Promise<boolean> {
  const candidate = `${paths.applyLock}.${owner.token}`;
  await host.write(candidate, `${JSON.stringify(owner)}\n`, { mode: 0o644, uid: 0, gid: 0 });
  const { exitCode } = await host.run({
    argv: ['ln', '--no-target-directory', candidate, name],
    // 1: it is taken.
    okExitCodes: [0, 1],
  });
  await host.remove(candidate);
  return exitCode === 0;
}

async function readOwner(host: Host, path: string): Promise<LockOwner | undefined> {
  const text = await readText(host, path);
  if (text === undefined) return undefined;
  try {
    return OwnerSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new AppError({
      code: 'lock/unreadable',
      what: `the lock ${path} on ${host.name} names no owner that this holdfast can read`,
      hint: 'make sure that no other holdfast runs, then: holdfast unlock --force',
      cause: error,
    });
  }
}

/** True only where it is certain: the server was restarted since, or the process was on this very machine and ended. */
async function isGone(holder: LockOwner, own: LockOwner, process: ThisProcess): Promise<boolean> {
  if (holder.server !== own.server) return true;
  if (holder.machine !== own.machine) return false;
  return !(await process.isAlive(holder.pid, holder.startTicks));
}

interface Breaking {
  readonly stale: LockOwner;
  readonly owner: LockOwner;
  readonly process: ThisProcess;
}

/**
 * Removes a lock whose holder is gone. Only whoever has the right to break that very holding may, so that nobody
 * removes the lock that another one took meanwhile. @returns who is at it already
 */
async function breakLock(
  host: Host,
  paths: Paths,
  { stale, owner, process }: Breaking,
): Promise<LockOwner | undefined> {
  const right = `${paths.applyLock}.stale-${stale.token}`;
  if (!(await takeName(host, paths, owner, right))) {
    const other = await readOwner(host, right);
    if (other === undefined || !(await isGone(other, owner, process))) return other;
    await host.remove(right);
    return undefined;
  }
  const holder = await lockOwner(host, paths);
  if (holder?.token === stale.token) await host.remove(paths.applyLock);
  await host.remove(right);
  return undefined;
}

/** Removes what killed attempts left beside the lock. */
async function sweepCandidates(
  host: Host,
  paths: Paths,
  own: LockOwner,
  process: ThisProcess,
): Promise<void> {
  const prefix = `${posix.basename(paths.applyLock)}.`;
  for (const name of await host.list(paths.state)) {
    if (!name.startsWith(prefix)) continue;
    const path = posix.join(paths.state, name);
    // What names no owner is nothing of a killed attempt.
    const owner = await readOwner(host, path).catch(() => undefined);
    if (owner !== undefined && (await isGone(owner, own, process))) await host.remove(path);
  }
}
