/** The parts of the engine's answer that are used; their names differ between cgroup versions. */
export interface MemoryStats {
  readonly usage?: number;
  readonly stats?: {
    /** cgroup v2. */
    readonly inactive_file?: number;
    /** cgroup v1. */
    readonly total_inactive_file?: number;
  };
}

/** Bytes in use without page cache that can be dropped, as `docker stats` counts. */
export function memoryInUse({ usage = 0, stats = {} }: MemoryStats): number {
  const cache = stats.total_inactive_file ?? stats.inactive_file ?? 0;
  return cache < usage ? usage - cache : usage;
}
