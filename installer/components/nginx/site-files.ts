import type { FileSpec } from '../../model/contribution.ts';
import type { SiteHost } from '../../model/site.ts';
import { CODE_PATH, HASHED_PATH } from './hashed-names.ts';
import type { HostBlock } from './hosts.ts';
import { IN_CONTAINER } from './places.ts';

/** The locations of each host's site. A file of their own: the server block of the host includes it. */
export function siteFiles(blocks: readonly HostBlock[], brotli: boolean): FileSpec[] {
  return blocks.flatMap(({ site }) =>
    site === undefined
      ? []
      : [
          {
            path: `nginx/${pathOf(site)}`,
            component: 'nginx',
            content: {
              template: 'nginx/site.conf.ejs',
              data: {
                site,
                brotli,
                hashedPath: HASHED_PATH,
                codePath: CODE_PATH,
                root: `${IN_CONTAINER.sites}/${site.site}`,
                downloads: site.downloads && `${IN_CONTAINER.volumes}/${site.downloads.volume}/`,
              },
              format: 'nginx',
            },
            onChange: [{ kind: 'reload', service: 'nginx' }],
          },
        ],
  );
}

export function siteFileInContainer(site: SiteHost): string {
  return `${IN_CONTAINER.config}/${pathOf(site)}`;
}

function pathOf({ host }: SiteHost): string {
  return `sites/${host}.conf`;
}
