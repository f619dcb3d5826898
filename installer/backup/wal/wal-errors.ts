import { AppError } from '../../errors.ts';
import type { WalStatus } from '../../model/wal-status.ts';
import type { Store } from '../store/store.ts';

export function notReadBack(store: Store, key: string): AppError {
  return new AppError({
    code: 'backup/damaged',
    what: `${key} in ${store.description} is not what was stored`,
    why: 'read back right after its upload, its bytes differ; it stays here and is stored again',
    hint: 'if this goes on, look at the store: `holdfast backup verify`',
  });
}

export function walDamaged(store: Store, key: string, why: string, cause?: unknown): AppError {
  return new AppError({
    code: 'backup/damaged',
    what: `${key} in ${store.description} is damaged`,
    why,
    hint: 'restore to a moment before it, and make a new base: `holdfast backup run`',
    details: { object: key, why },
    cause,
  });
}

export function noPitr(): AppError {
  return new AppError({
    code: 'backup/no-pitr',
    what: 'there is no point-in-time recovery on this server',
    why: 'the applied config has no `postgres.pitr`',
    hint: 'write `postgres: { pitr: { enabled: true } }` into config.yaml and run holdfast apply',
  });
}

/** What the store refused until the end. */
export function stillWaiting({ what, since }: NonNullable<WalStatus['failure']>): AppError {
  return new AppError({
    code: 'backup/wal-waits',
    what: `WAL waits for the store since ${since}`,
    why: what,
    hint: 'mend the store (`holdfast doctor`), then `holdfast backup ship-wal`',
  });
}
