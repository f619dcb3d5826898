import type { Notice } from '../model/contribution.ts';
import type { Operation } from '../model/operation.ts';
import type { DesiredSite, ObservedSite } from '../model/site.ts';

export interface SiteOperations {
  readonly releases: readonly Operation[];
  readonly switches: readonly Operation[];
  readonly removals: readonly Operation[];
  readonly notices: readonly Notice[];
}

const NOTHING: ObservedSite = {
  current: undefined,
  previous: undefined,
  held: undefined,
  releases: [],
};

/** What has to happen so that each site shows its release, keeps some old ones, and nothing else is left. */
export function siteOperations(
  desired: readonly DesiredSite[],
  observed: ReadonlyMap<string, ObservedSite>,
): SiteOperations {
  const each = desired.map((site) => changesOf(site, observed.get(site.name) ?? NOTHING));
  const names = desired.map(({ name }) => name);
  const gone = [...observed.keys()].filter((name) => !names.includes(name)).sort();
  return {
    releases: each.flatMap(({ releases }) => releases),
    switches: each.flatMap(({ switches }) => switches),
    removals: [
      ...each.flatMap(({ removals }) => removals),
      ...gone.map((site) => ({
        kind: 'remove-site' as const,
        id: `remove-site:${site}`,
        site,
        cause: 'no longer in the config',
        impact: 'none' as const,
      })),
    ],
    notices: each.flatMap(({ notices }) => notices),
  };
}

function changesOf(site: DesiredSite, observed: ObservedSite): SiteOperations {
  const { name, release } = site;
  const { current, held } = observed;
  if (current !== undefined && held === release && current !== release) {
    return {
      releases: [],
      switches: [],
      removals: oldReleases(site, observed, current),
      notices: [
        {
          code: 'sites/held',
          text: `site ${name} stays at release ${current}: it was rolled back from ${held}, and goes on with the next change of its files`,
        },
      ],
    };
  }
  const isThere = observed.releases.includes(release);
  return {
    releases: isThere
      ? []
      : [
          {
            kind: 'make-release',
            id: `make-release:${name}`,
            site: name,
            release,
            cause: CAUSES[site.source.kind],
            impact: 'none',
          },
        ],
    switches:
      current === release
        ? []
        : [
            {
              kind: 'switch-site',
              id: `switch-site:${name}`,
              site: name,
              release,
              cause: current === undefined ? 'new' : `was ${current}`,
              impact: 'none',
            },
          ],
    removals: oldReleases(site, observed, release),
    notices: [],
  };
}

const CAUSES: Readonly<Record<DesiredSite['source']['kind'], string>> = {
  folder: 'unpacked from its folder',
  archive: 'unpacked from its archive',
  image: 'copied out of its image',
  build: 'built from its sources',
};

/** Beyond what is kept; never the one that is served, nor the one before it, which open pages still ask for. */
function oldReleases(
  { name, keep }: DesiredSite,
  { current, previous, releases }: ObservedSite,
  served: string,
): Operation[] {
  const before = current === served ? previous : current;
  const old = releases
    .filter((release) => release !== served && release !== before)
    .slice(before === undefined ? keep : keep - 1);
  if (old.length === 0) return [];
  return [
    {
      kind: 'remove-releases',
      id: `remove-releases:${name}`,
      site: name,
      releases: old,
      cause: `only ${keep} old releases are kept`,
      impact: 'none',
    },
  ];
}
