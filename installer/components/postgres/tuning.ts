const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

export interface TuningInput {
  /** Bytes of memory of the machine. */
  readonly memoryBytes: number;
  readonly cores: number;
  readonly maxConnections: number;
  /** Bytes; a wish of the user that the other figures follow. */
  readonly sharedBuffers?: number;
}

export interface Tuning {
  /** Lines of postgresql.conf by name; text is not quoted yet. */
  readonly settings: Readonly<Record<string, string>>;
  /** Limit of the container, bytes. */
  readonly memoryLimit: number;
  /** Size of /dev/shm, bytes: parallel queries keep their hash tables there. */
  readonly sharedMemory: number;
}

/**
 * Share of the machine that Postgres plans with. The formulas below are made for a machine of its own;
 * here the product, its cache and the platform run beside it.
 */
const SHARE_OF_MACHINE = 1 / 4;
const LEAST_BUDGET = 256 * MIB;

/** A backend without its work_mem: catalogue caches and plans, measured 3 to 6 MiB with small schemas. */
const BACKEND_OVERHEAD = 5 * MIB;

/**
 * Settings that follow from the machine. Sources: "PGTune" is its open-source calculator in the profile
 * "web application" on SSDs; "manual" is the PostgreSQL 17 documentation, chapters 19.4 to 19.10.
 */
export function tune(input: TuningInput): Tuning {
  const { cores, maxConnections } = input;
  const budget = memoryBudget(input.memoryBytes);
  // manual 19.4.1 and PGTune: a quarter of the memory.
  const sharedBuffers = input.sharedBuffers ?? budget / 4;
  // PGTune: what is left, three operations for each connection. manual: never below 64 kB; sorts of
  // less than 1 MiB would spill to disk for nothing.
  const workMem = Math.max(
    MIB,
    (budget - Math.min(sharedBuffers, budget / 2)) / (maxConnections * 3),
  );
  // PGTune: a sixteenth, at most 2 GiB; half of that here, since three autovacuum workers take it as well.
  const maintenanceWorkMem = clamp(budget / 16, 16 * MIB, GIB);
  // PGTune, from four cores: parallel queries take half of the cores, at most four each.
  const parallelPerQuery = Math.min(4, Math.max(1, Math.floor(cores / 2)));
  const isBig = budget >= 2 * GIB;

  const settings = {
    max_connections: String(maxConnections),
    shared_buffers: kilobytes(sharedBuffers),
    // manual 19.7.2: an estimate of what the page cache holds; PGTune: three quarters.
    effective_cache_size: kilobytes(budget * 0.75),
    work_mem: kilobytes(workMem),
    maintenance_work_mem: kilobytes(maintenanceWorkMem),
    // PGTune "web" has 1 GB and 4 GB; on a small disk the server's defaults are kept.
    min_wal_size: isBig ? '1GB' : '80MB',
    max_wal_size: isBig ? '4GB' : '1GB',
    // manual 19.5.1: less WAL for a little CPU; each image of a page after a checkpoint is compressed.
    wal_compression: 'lz4',
    // manual 19.7.2 and PGTune: SSDs read at random nearly as fast as in sequence.
    random_page_cost: '1.1',
    // PGTune for SSDs.
    effective_io_concurrency: '200',
    // manual 19.4.6: background workers by cores; 8 is the default and the least that extensions expect.
    max_worker_processes: String(Math.max(8, cores)),
    max_parallel_workers: String(cores),
    max_parallel_workers_per_gather: String(cores === 1 ? 0 : parallelPerQuery),
    max_parallel_maintenance_workers: String(cores === 1 ? 0 : parallelPerQuery),
    // manual 32: compiling pays off for long analytical queries; it costs memory in every backend.
    jit: 'off',
    // manual 19.10: small tables of a product are vacuumed and analyzed at 5 to 10 % of change, not 20.
    autovacuum_vacuum_scale_factor: '0.1',
    autovacuum_analyze_scale_factor: '0.05',
  };
  const sharedMemory = Math.max(64 * MIB, wholeMebibytes(budget / 8));
  const worstCase =
    sharedBuffers +
    sharedMemory +
    4 * maintenanceWorkMem +
    maxConnections * (BACKEND_OVERHEAD + workMem) +
    64 * MIB;
  // More than half of the machine would let one bad query starve the product.
  const ceiling = Math.max(2 * sharedBuffers, roundedMemory(input.memoryBytes) / 2);
  return {
    settings,
    memoryLimit: wholeMebibytes(clamp(worstCase, budget, ceiling)),
    sharedMemory,
  };
}

/**
 * Whole steps of 256 MiB: the kernel's figure moves by some kilobytes with every update, and
 * a different figure would restart the server.
 */
function roundedMemory(bytes: number): number {
  return Math.max(512 * MIB, Math.floor(bytes / (256 * MIB)) * 256 * MIB);
}

/** What Postgres plans with on a machine, both in bytes. */
export function memoryBudget(memoryBytes: number): number {
  return Math.max(LEAST_BUDGET, roundedMemory(memoryBytes) * SHARE_OF_MACHINE);
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}

function kilobytes(bytes: number): string {
  return `${Math.floor(bytes / 1024)}kB`;
}

function wholeMebibytes(bytes: number): number {
  return Math.floor(bytes / MIB) * MIB;
}
