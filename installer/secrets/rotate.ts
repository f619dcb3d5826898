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
  /** Shows what will be restarted, and asks. */
  readonly agree: () => Promise<boolean>;
  /** Writes the files from the store's values and restarts what reads them, until all is healthy. */
  readonly apply: () => Promise<void>;
}

/**
 * Replaces a secret: in the server, then in the files, then in what reads them. When a step fails, the old
 * value is brought back everywhere.
 *
 * May be killed at any moment. The next value stands in the store from the first step to the last, and counts
 * for every apply, which brings servers to what the store says: running this again, or any apply, goes forward.
 * @throws AppError `secret/not-set`, `secret/rotation-failed`
 */
export async function rotate(rotation: Rotation): Promise<'rotated' | 'declined'> {
  const { name, store, server } = rotation;
  const old = await store.settled(name);
  if (old === undefined) throw notSet(name);
  const unfinished = await store.next(name);
  const next = unfinished ?? (await rotation.newValue());
  if (unfinished === undefined) await store.propose(name, next);
  let agreed: boolean;
  try {
    agreed = await rotation.agree();
  } catch (error) {
    // Nothing has changed yet, unless an earlier run went further: that one has to be finished.
    if (unfinished === undefined) await store.withdraw(name);
    throw error;
  }
  if (!agreed) {
    if (unfinished === undefined) await store.withdraw(name);
    return 'declined';
  }
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
