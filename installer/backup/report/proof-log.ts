import { appendFile, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Paths } from '../../model/paths.ts';

/** A backup, a restore test or a drill as it ended. Times are UTC, ISO 8601. */
export interface ProofEntry {
  readonly kind: 'backup' | 'restore-test' | 'drill';
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly ok: boolean;
  /** Why it failed. */
  readonly what?: string;
  readonly job?: string;
  /** Of the backup that was made or came back. */
  readonly id?: string;
  readonly bytes?: number;
  /** It was read back from the store. */
  readonly verified?: boolean;
  /** Until it was made, had come back, or the product was healthy. */
  readonly seconds?: number;
  /** Measured recovery point. */
  readonly lostSeconds?: number;
  readonly lostMore?: boolean;
  readonly rows?: number;
}

/** Months that stay. */
const KEPT_MONTHS = 24;

/** Notes an ended run for the monthly report. One line in the file of its month: a kill loses that line alone. */
export async function noteProof(paths: Paths, entry: ProofEntry): Promise<void> {
  await mkdir(folder(paths), { recursive: true, mode: 0o700 });
  const file = join(folder(paths), `${monthOf(entry.finishedAt)}.jsonl`);
  await appendFile(file, `${JSON.stringify(entry)}\n`, { mode: 0o600, flush: true });
}

/** Everything that ended in these months, oldest first. @param months `2026-11` */
export async function readProofs(paths: Paths, months: readonly string[]): Promise<ProofEntry[]> {
  const found: ProofEntry[] = [];
  for (const month of months) {
    const text = await readFile(join(folder(paths), `${month}.jsonl`), 'utf8').catch(ifMissing);
    found.push(...text.split('\n').flatMap(entryOf));
  }
  return found.sort((a, b) => (a.finishedAt < b.finishedAt ? -1 : 1));
}

/** Removes what no report shows any more. @param month the newest, `2026-11` */
export async function pruneProofs(paths: Paths, month: string): Promise<void> {
  const oldest = monthBefore(month, KEPT_MONTHS);
  for (const name of await readdir(folder(paths)).catch(ifNone)) {
    if (name.endsWith('.jsonl') && name < oldest) await rm(join(folder(paths), name));
  }
}

/** @param time ISO 8601, UTC */
export function monthOf(time: string): string {
  return time.slice(0, 7);
}

/** `2026-01` and 1 give `2025-12`. */
export function monthBefore(month: string, count: number): string {
  const [year = 0, number = 1] = month.split('-').map(Number);
  return new Date(Date.UTC(year, number - 1 - count, 1)).toISOString().slice(0, 7);
}

function folder({ agent }: Paths): string {
  return join(agent, 'proofs');
}

function ifMissing(error: NodeJS.ErrnoException): string {
  if (error.code !== 'ENOENT') throw error;
  return '';
}

function ifNone(error: NodeJS.ErrnoException): string[] {
  if (error.code !== 'ENOENT') throw error;
  return [];
}

/** A line that a power cut has broken off tells nothing. */
function entryOf(line: string): ProofEntry[] {
  if (line === '') return [];
  try {
    return [JSON.parse(line) as ProofEntry];
  } catch {
    return [];
  }
}
