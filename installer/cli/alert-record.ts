import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { ALERTS_TOLD, alertFolders, type ToldAlerts, type ToldReceiver } from '../model/alert.ts';
import type { Paths } from '../model/paths.ts';

const ROOT_ONLY = { mode: 0o600, uid: 0, gid: 0 } as const;

/** Who was told of what, while several are told at once. */
export interface AlertRecord {
  of(id: string): ToldReceiver | undefined;
  /** Written when it returns, unless {@link close} says otherwise. */
  note(id: string, receiver: ToldReceiver): Promise<void>;
  /** @throws AppError `agent/alerts-not-noted` when the last state could not be written */
  close(): void;
}

/** The record of these receivers; others, which the config no longer names, are dropped. */
export async function openRecord(
  host: Host,
  paths: Paths,
  ids: readonly string[],
): Promise<AlertRecord> {
  const before = await readTold(host, paths);
  const receivers = new Map(
    Object.entries(before.told.receivers).filter(([id]) => ids.includes(id)),
  );
  let { isInMemory } = before;
  let failure: unknown;
  const write = async (): Promise<void> => {
    const told: ToldAlerts = { version: 1, receivers: Object.fromEntries(receivers) };
    const text = `${JSON.stringify(told)}\n`;
    const { disk, memory } = alertFolders(paths);
    try {
      try {
        await host.write(`${disk}/${ALERTS_TOLD}`, text, ROOT_ONLY);
        if (isInMemory) await host.remove(`${memory}/${ALERTS_TOLD}`);
        isInMemory = false;
      } catch {
        // A disk that is full or read-only; the agent says so.
        await host.write(`${memory}/${ALERTS_TOLD}`, text, ROOT_ONLY);
        isInMemory = true;
      }
      failure = undefined;
    } catch (error) {
      failure = error;
    }
  };
  let queue = Promise.resolve();
  return {
    of: (id) => receivers.get(id),
    note: (id, receiver) => {
      receivers.set(id, receiver);
      queue = queue.then(write);
      return queue;
    },
    close: () => {
      if (failure === undefined) return;
      throw new AppError({
        code: 'agent/alerts-not-noted',
        what: 'who was told of alerts cannot be noted, so they come again',
        why: failure instanceof Error ? failure.message : String(failure),
        hint: 'make room on the disk: holdfast doctor',
        cause: failure,
      });
    },
  };
}

export async function readTold(
  host: Host,
  paths: Paths,
): Promise<{ readonly told: ToldAlerts; readonly isInMemory: boolean }> {
  const { value, isInMemory } = await readNewest<ToldAlerts>(host, paths, ALERTS_TOLD);
  // Also for JSON that is something else.
  const told = value?.receivers === undefined ? { version: 1 as const, receivers: {} } : value;
  return { told, isInMemory };
}

/** A file of alerts; undefined when there is none or it is damaged, as the agent reads it. */
export async function readNewest<T>(
  host: Host,
  paths: Paths,
  name: string,
): Promise<{ readonly value: T | undefined; readonly isInMemory: boolean }> {
  const { disk, memory } = alertFolders(paths);
  const newest = await readJson<T>(host, `${memory}/${name}`);
  if (newest !== undefined) return { value: newest, isInMemory: true };
  return { value: await readJson<T>(host, `${disk}/${name}`), isInMemory: false };
}

async function readJson<T>(host: Host, path: string): Promise<T | undefined> {
  const bytes = await host.read(path);
  if (bytes === undefined) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as T;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
