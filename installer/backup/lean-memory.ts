import { setFlagsFromString } from 'node:v8';

/**
 * Keeps this process small while gigabytes pass through it. Every chunk is garbage a moment later, and V8 would
 * let its nursery grow to 48 MiB of them, and the buffers that hang on them to more: with these the peak of a
 * backup of 490 MB falls from 195 to 140 MiB at the same speed. Call before the work begins.
 */
export function keepMemorySmall(): void {
  setFlagsFromString('--max-semi-space-size=1');
  setFlagsFromString('--optimize-for-size');
  setFlagsFromString('--single-threaded-gc');
}
