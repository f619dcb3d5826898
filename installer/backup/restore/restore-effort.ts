import type { PostgresServer } from '../psql.ts';

const MIB = 1024 ** 2;

export interface RestoreEffort {
  /** Connections that load data and build indexes at a time. */
  readonly jobs: number;
  /** Bytes that each of them may sort in memory. */
  readonly sortBytes: number;
}

/**
 * How much of a server a restore takes. One job more than processors, since one always waits for the disk
 * (a fifth faster than `--jobs=2` on two cores); an eighth of the container's memory for their sorts, so that a
 * live server next to its limit is not killed for it.
 */
export async function restoreEffort({ engine, container }: PostgresServer): Promise<RestoreEffort> {
  const { memoryBytes } = await engine.info();
  const { stdout } = await engine.exec(container, { argv: ['nproc'] });
  const cores = Number.parseInt(stdout, 10) || 1;
  const states = await engine.containers({});
  const state = states.find(({ id, name }) => id === container || name === container);
  return effortFor(cores, state?.memoryLimit || memoryBytes / 2);
}

export function effortFor(cores: number, memoryBytes: number): RestoreEffort {
  const jobs = Math.min(8, cores + 1);
  const each = memoryBytes / 8 / jobs;
  return { jobs, sortBytes: Math.round(Math.min(256 * MIB, Math.max(16 * MIB, each))) };
}
