/** What the machine and Postgres have left, at one moment. */
export interface Headroom {
  /** Bytes that programs can have without pushing others out. */
  readonly memoryAvailable: number;
  readonly memoryTotal: number;
  /** Share of the processors that was busy since the last look, percent; absent before the second look. */
  readonly cpuBusyPercent?: number;
}

export interface MoreReplicas {
  readonly count: number;
  /** Limit of one, bytes. */
  readonly memoryBytes: number;
  /** Database connections that one may open; 0 without a database. */
  readonly connections: number;
}

export interface ConnectionBudget {
  /** What all services together may open. */
  readonly allowed: number;
  /** What those that run may open. */
  readonly taken: number;
}

/** What has to stay free for everything else: the page cache of Postgres and a login by SSH need some. */
const MEMORY_RESERVE_SHARE = 0.05;
/** Above this the machine's processors are the limit, and more replicas would only wait for them. */
const BUSY_PERCENT = 90;
const MIB = 1024 ** 2;

/** Why the machine does not bear so many more replicas; undefined when it does. */
export function whyNotMore(
  { count, memoryBytes, connections }: MoreReplicas,
  headroom: Headroom,
  budget: ConnectionBudget | undefined,
): string | undefined {
  const needed = count * memoryBytes + headroom.memoryTotal * MEMORY_RESERVE_SHARE;
  if (needed > headroom.memoryAvailable) {
    return `${mebibytes(headroom.memoryAvailable)} of memory are available, ${mebibytes(needed)} are needed for ${count} more`;
  }
  const busy = headroom.cpuBusyPercent;
  if (busy !== undefined && busy > BUSY_PERCENT) {
    return `the processors of this machine are ${Math.round(busy)} % busy`;
  }
  if (budget !== undefined && connections > 0) {
    const wanted = budget.taken + count * connections;
    if (wanted > budget.allowed) {
      return `services may open ${budget.allowed} database connections, and it would be ${wanted}`;
    }
  }
  return undefined;
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / MIB)} MiB`;
}
