import { text } from 'node:stream/consumers';
import { AppError } from '../errors.ts';
import { projectPrefix } from './keys.ts';
import type { Writer } from './restore/one-server.ts';
import type { Store } from './store/store.ts';

/** Where the backups of one project lie in a store. */
interface Place {
  readonly prefix: string;
  readonly project: string;
}

/** Says in the store itself whose turn it is, so that a server which nobody can reach any more learns it too. */
export interface TakeOver {
  readonly version: 1;
  readonly at: string;
  /** The server that stores backups from then on. */
  readonly writer: Writer;
  /** Ids of the servers that store nothing more. */
  readonly fenced: readonly string[];
}

/** Undefined when nobody ever took over, or when the object cannot be read. */
export async function readTakeOver(store: Store, place: Place): Promise<TakeOver | undefined> {
  const content = await readNote(store, keyOf(place));
  if (content === undefined) return undefined;
  try {
    const found = JSON.parse(content) as TakeOver;
    return Array.isArray(found.fenced) && typeof found.writer?.id === 'string' ? found : undefined;
  } catch {
    // A damaged note fences nobody: a server that stops saving its data would be worse than two that save it.
    return undefined;
  }
}

/**
 * From here on `writer` stores the backups of the project there, and the others named, and those fenced before, do not.
 * @throws AppError of class `store`
 */
export async function takeOver(
  store: Store,
  place: Place,
  writer: Writer,
  from: readonly string[],
  at: Date,
): Promise<void> {
  const before = await readTakeOver(store, place);
  const others = [...(before?.fenced ?? []), ...(before === undefined ? [] : [before.writer.id])];
  const fenced = new Set([...others, ...from].filter((id) => id !== writer.id));
  const content: TakeOver = { version: 1, at: at.toISOString(), writer, fenced: [...fenced] };
  await store.putSmall(keyOf(place), Buffer.from(`${JSON.stringify(content)}\n`));
}

/** @throws AppError `backup/taken-over` when another server stores the backups of this one's project now */
export async function refuseTakenOver(store: Store, place: Place, writerId: string): Promise<void> {
  const found = await readTakeOver(store, place);
  if (found?.fenced.includes(writerId) !== true) return;
  throw new AppError({
    code: 'backup/taken-over',
    what: `${found.writer.host} took over the backups of ${place.project} on ${found.at}: this server stores nothing more there`,
    why: 'two servers of one product would both take requests, and nobody could tell their backups apart',
    hint: 'turn this server off; if it is the right one: holdfast backup take-over; if it is another product now, give it another backups.prefix',
  });
}

export function isTakenOver(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'backup/taken-over';
}

/** By GET: what refuses a HEAD cannot say why, and this is the first that a store with wrong keys is asked. */
async function readNote(store: Store, key: string): Promise<string | undefined> {
  try {
    return await text(await store.get(key));
  } catch (error) {
    if (error instanceof AppError && error.code === 'store/missing') return undefined;
    throw error;
  }
}

function keyOf(place: Place): string {
  return `${projectPrefix(place)}taken-over.json`;
}
