import { AppError } from '../errors.ts';
import type { Secret } from '../model/secret.ts';
import type { SecretStore } from './store.ts';

/** A server that keeps the password itself. */
export interface PasswordServer {
  /**
   * Makes the running server accept this password. May be repeated. It first forgets, durably, what the last
   * apply recorded of the server: then the next apply brings the server to what the store says, however this ends.
   */
  change(password: Secret): Promise<void>;
}

export interface Rotation {
  readonly name: string;
  readonly store: SecretStore;
  /** A new value; not asked when a rotation that was cut short has left one. */
  readonly newValue: () => Promise<Secret>;
  /** Undefined where no server keeps the value. */
  readonly server?: PasswordServer;
  /** Shows what will be restarted once this value counts, and asks. Nothing has changed yet. */
  readonly agree: (next: Secret) => Promise<boolean>;
  /** Runs a short step while nobody else changes this server. */
  readonly exclusively: (step: () => Promise<void>) => Promise<void>;
  /** Writes the files from the store's values and restarts what reads them, until all is healthy. */
  readonly apply: () => Promise<void>;
}

/**
 * Replaces a secret: in the server, then in the files, then in what reads them. When a step fails, the old
 * value is brought back everywhere.
 *
 * May be killed at any moment. The next value stands in the store from the yes to the last step, and counts
 * for every apply, which brings servers to what the store says: running this again, or any apply, goes forward.
 * @throws AppError `secret/not-set`, `secret/rotated-meanwhile`, `secret/rotation-failed`
 */
export async function rotate(rotation: Rotation): Promise<'rotated' | 'declined'> {
  const { name, store, server } = rotation;
  const old = await store.settled(name);
  if (old === undefined) throw notSet(name);
  const unfinished = await store.next(name);
  const next = unfinished ?? (await rotation.newValue());
  if (!(await rotation.agree(next))) return 'declined';
  await rotation.exclusively(async () => {
    // Somebody else may have gone on while the question stood.
    const [settled, proposed] = [await store.settled(name), await store.next(name)];
    if (!isSame(settled, old) || !isSame(proposed, unfinished)) throw rotatedMeanwhile(name);
    if (unfinished === undefined) await store.propose(name, next);
  });
  try {
    await server?.change(next);
    await rotation.apply();
  } catch (error) {
    throw await rolledBack(rotation, old, error);
  }
  await store.store(name, next);
  return 'rotated';
}

async function rolledBack(
  { name, store, server, apply }: Rotation,
  old: Secret,
  failure: unknown,
): Promise<AppError> {
  let serverFailure: unknown;
  try {
    await server?.change(old);
  } catch (error) {
    // The next apply sees to it: what was recorded of the server is forgotten, or the server was not touched.
    serverFailure = error;
  }
  await store.withdraw(name);
  try {
    await apply();
  } catch (error) {
    const reasons = [...new Set([serverFailure, error].filter(Boolean).map(textOf))];
    return failed(name, failure, {
      state: `the old value counts again, but not everything has it yet: ${reasons.join('; ')}`,
      hint: 'holdfast apply',
    });
  }
  return failed(name, failure, {
    state: 'the old value was brought back everywhere',
    hint: `correct the cause, then: holdfast secrets rotate ${name}`,
  });
}

function failed(
  name: string,
  failure: unknown,
  { state, hint }: { readonly state: string; readonly hint: string },
): AppError {
  return new AppError({
    code: 'secret/rotation-failed',
    what: `${name} was not rotated; ${state}`,
    why: textOf(failure),
    hint,
    cause: failure,
  });
}

function isSame(one: Secret | undefined, other: Secret | undefined): boolean {
  return one?.reveal() === other?.reveal();
}

function rotatedMeanwhile(name: string): AppError {
  return new AppError({
    code: 'secret/rotated-meanwhile',
    what: `${name} was given another value while this rotation waited for its answer`,
    why: 'nothing was changed by this run',
    hint: `where another value is still wanted: holdfast secrets rotate ${name}`,
  });
}

function notSet(name: string): AppError {
  return new AppError({
    code: 'secret/not-set',
    what: `${name} has no value yet, so there is nothing to rotate`,
    hint: `holdfast secrets set ${name}, or: holdfast secrets generate ${name}`,
  });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
