/** A fixed share of the job's jitter for this host, milliseconds: always the same, spread over hosts. */
export function jitterOf(host: string, job: string, jitterSeconds: number): number {
  // FNV-1a, 32 bits: all that is needed is that hosts differ.
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(`${host} ${job}`)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return Math.floor((hash / 2 ** 32) * jitterSeconds * 1000);
}
