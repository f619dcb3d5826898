import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { AppError } from '../errors.ts';
import { LABELS } from '../model/labels.ts';
import type { BackupContext } from './context.ts';

const CONTROL_GROUPS = '/sys/fs/cgroup';

/** What the containers of the stack take of this machine's processors, by the kernel's accounts of them. */
export class ProductLoad {
  readonly #files: readonly string[];
  #before: { readonly at: number; readonly used: number } | undefined;

  /** @param files the account of each container */
  constructor(files: readonly string[]) {
    this.#files = files;
  }

  /** Not known while the engine does not answer: what is read back from a store needs no engine otherwise. */
  static async of({
    engine,
    settings,
  }: Pick<BackupContext, 'engine'> & {
    readonly settings: Pick<BackupContext['settings'], 'project'>;
  }): Promise<ProductLoad> {
    try {
      const containers = await engine.containers({ [LABELS.project]: settings.project });
      return new ProductLoad(
        containers.flatMap(({ pid }) => (pid === undefined ? [] : (accountOf(pid) ?? []))),
      );
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return new ProductLoad([]);
    }
  }

  /** Whether there is an account of anything. */
  get isKnown(): boolean {
    return this.#files.some((file) => usedSeconds(file) !== undefined);
  }

  /** Notes what was used so far. @returns the share of all processors since the last look, 0 to 1 */
  look(): number {
    const now = { at: performance.now(), used: this.#used() };
    const before = this.#before;
    this.#before = now;
    if (before === undefined || now.at <= before.at) return 0;
    const available = ((now.at - before.at) / 1000) * availableParallelism();
    return Math.min(1, Math.max(0, (now.used - before.used) / available));
  }

  #used(): number {
    return this.#files.reduce((sum, file) => sum + (usedSeconds(file) ?? 0), 0);
  }
}

/**
 * cgroups(7): one hierarchy for all (`0::/path`) in version 2, one of `cpuacct` in version 1. Undefined when the
 * process ended meanwhile.
 */
function accountOf(pid: number): string | undefined {
  const groups = text(`/proc/${pid}/cgroup`) ?? '';
  const first = /^\d+:(?:[^:]+,)?cpuacct(?:,[^:]+)?:(.*)$/m.exec(groups)?.[1];
  if (first !== undefined) return `${CONTROL_GROUPS}/cpuacct${first}/cpuacct.usage`;
  const second = /^0::(.*)$/m.exec(groups)?.[1];
  return second === undefined ? undefined : `${CONTROL_GROUPS}${second}/cpu.stat`;
}

/** Nanoseconds alone in version 1, `usage_usec` in version 2. Undefined when the container is gone. */
function usedSeconds(file: string): number | undefined {
  const account = text(file);
  if (account === undefined) return undefined;
  const microseconds = /^usage_usec (\d+)$/m.exec(account)?.[1];
  return microseconds === undefined ? Number(account) / 1e9 : Number(microseconds) / 1e6;
}

function text(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
