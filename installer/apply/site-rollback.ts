import { AppError } from '../errors.ts';
import type { ObservedSite } from '../model/site.ts';
import { observeSites, pointLink } from '../rollout/site-folders.ts';
import { switchRelease } from '../rollout/site-switch.ts';
import { appendAudit } from './audit.ts';
import type { ApplyContext } from './context.ts';
import { withLock } from './lock.ts';
import { planStale } from './lock-errors.ts';
import type { ThisProcess } from './process-identity.ts';

export interface SiteRollback {
  readonly process: ThisProcess;
  readonly command: string;
  readonly waitSeconds: number;
  readonly site: string;
  /** Shows where it goes and asks. */
  readonly confirm: (from: string, to: string) => Promise<boolean>;
}

/**
 * Serves the release of a site that was served before, at once and without a reload. `apply` leaves it so until
 * the files of the site change. May be repeated after a kill.
 * @returns the release that is served now; undefined when the answer was no
 * @throws AppError `usage/no-previous-release`, `drift/plan-stale`
 */
export async function rollBackSite(
  context: ApplyContext,
  { site, confirm, ...request }: SiteRollback,
): Promise<string | undefined> {
  const { host, paths, clock, announce } = context;
  const went = await withLock(host, paths, { ...request, clock }, async (lock) => {
    const shown = way(site, (await observeSites(host, paths)).get(site));
    if (!(await lock.letGoFor(() => confirm(shown.from, shown.to)))) return undefined;
    const found = (await observeSites(host, paths)).get(site);
    const { from, to } = way(site, found);
    if (from !== shown.from || to !== shown.to) throw planStale(host);
    await lock.assertHeld();
    const begin = clock.now();
    // Before the switch: a kill between the two leaves what apply would serve anyway.
    await pointLink(host, paths, { site, link: 'held', release: found?.held ?? from });
    await switchRelease(host, paths, { site, release: to, before: from });
    await appendAudit(host, paths, {
      who: request.process.who,
      when: begin.toISOString(),
      command: request.command,
      configDigest: '',
      operations: [`switch-site:${site}`],
      planned: 1,
      result: 'done',
      seconds: (clock.now().getTime() - begin.getTime()) / 1000,
    });
    return { to, seconds: (clock.now().getTime() - begin.getTime()) / 1000 };
  });
  if (went === undefined) return undefined;
  // Others need not wait until everybody was told.
  await announce?.({
    kind: 'rolled-back',
    at: clock.now().toISOString(),
    who: request.process.who,
    command: request.command,
    changes: [{ kind: 'site', name: site, version: went.to }],
    seconds: went.seconds,
  });
  return went.to;
}

function way(site: string, found: ObservedSite | undefined): { from: string; to: string } {
  const { current, previous, releases = [] } = found ?? {};
  const to = previous ?? releases.find((release) => release !== current);
  if (current !== undefined && to !== undefined && to !== current) return { from: current, to };
  throw new AppError({
    code: 'usage/no-previous-release',
    what: `no other release of the site ${site} stands on this server`,
    hint: 'change its files and run: holdfast apply',
  });
}
