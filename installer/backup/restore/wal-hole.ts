import { AppError } from '../../errors.ts';
import type { RollForward } from './choose-base.ts';

/**
 * A proof of the newest moment needs all the WAL up to it: Postgres ends its recovery at a hole as if nothing came
 * after, and what it holds then is good, only old.
 * @throws AppError `restore/gap`
 */
export function requireNoHole({ backup, chain }: Pick<RollForward, 'backup' | 'chain'>): void {
  const { missing } = chain;
  if (missing === undefined) return;
  const base = backup.manifest.id;
  throw new AppError({
    code: 'restore/gap',
    what: `the base backup ${base} does not lead to the newest moment: the WAL has a gap`,
    why: `${missing} is missing in the store, and there is WAL behind it`,
    hint: `holdfast backup run ${backup.manifest.job}: from a new base on everything can be restored again`,
    details: { base, missing },
  });
}
