const MIB = 1024 ** 2;

/** The program, its clients' buffers and the AOF buffer, beside the data. */
const OVERHEAD = 48 * MIB;

/**
 * Limit of the container for a `maxmemory`, both in bytes. Half as much again: allocator fragmentation
 * (INFO's mem_fragmentation_ratio is healthy up to 1.5), and the pages that change while a forked child
 * writes a snapshot or rewrites the AOF, which exist twice.
 */
export function memoryLimit(maxMemory: number): number {
  return Math.ceil((maxMemory * 1.5 + OVERHEAD) / MIB) * MIB;
}
