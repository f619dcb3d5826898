import type { Location } from './hosts.ts';

/** What keeps people out of a path, or counts them, or looks at what they send. */
export type Guards = Pick<Location, 'allowFrom' | 'basicAuth' | 'limits' | 'inspected'>;

/** A prefix of paths, decoded and without a slash at the end, with what guards it. */
export interface GuardedPath extends Guards {
  readonly path: string;
}

/** What services, Java's above all, may leave out of a part of a path. */
const PARAMETERS = '(?:;[^/]*)?';
const END = '(?:/|\\z)';

/**
 * Regular expressions for the decoded path of requests that a host answers with 404: closed prefixes in any case, and
 * a guarded prefix in another case than the config's, since many services do not tell the two apart. A spelling that
 * the config itself routes is none of them.
 */
export function refusedSpellings(
  closed: readonly string[],
  routes: readonly GuardedPath[],
  hasFiles: boolean,
): string[] {
  const open = routes.map(({ path }) => path);
  const guarded = routes.filter((route) =>
    routes.some((above) => isBelow(route.path, above.path) && lacksGuardOf(above, route)),
  );
  return [
    ...closed
      .filter((path) => path !== '')
      .flatMap((path) => [
        spelling(path, without(path, open), hasFiles ? '(?:\\.(?:gz|br))?' : ''),
        ...(hasFiles ? pagesOf(path) : []),
      ]),
    ...guarded.map(({ path }) => {
      const elsewhere = without(path, open).filter((route) => !route.startsWith(`${path}/`));
      return spelling(path, [path, ...elsewhere]);
    }),
  ];
}

/**
 * For a route with fewer guards than one above it: how the request has to spell it, or a service could see a path of
 * the other one, as in `/admin/open%2Fsecret`.
 */
export function plainSpelling(
  route: GuardedPath & { readonly written: string },
  routes: readonly GuardedPath[],
): string | undefined {
  const leavesGuards = routes.some(
    (above) => isBelow(route.path, above.path) && lacksGuardOf(route, above),
  );
  return leavesGuards ? `^${quoted(route.written)}(?:[/?]|\\z)` : undefined;
}

export function quoted(text: string): string {
  return text.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');
}

/** Whatever the case. */
export function isWithin(path: string, folder: string): boolean {
  return `${path}/`.toLowerCase().startsWith(`${folder}/`.toLowerCase());
}

function isBelow(path: string, folder: string): boolean {
  return path.length > folder.length && isWithin(path, folder);
}

/** Whether `one` lets somebody in whom `other` would not. */
function lacksGuardOf(one: Guards, other: Guards): boolean {
  const names = ({ allowFrom, basicAuth, limits, inspected }: Guards): string[] => [
    ...(allowFrom.length > 0 ? [`from ${allowFrom.toSorted().join(' ')}`] : []),
    ...(basicAuth === undefined ? [] : [`password ${basicAuth}`]),
    ...limits.map((limit) => `limit ${limit}`),
    ...(inspected ? ['firewall'] : []),
  ];
  const has = new Set(names(one));
  return names(other).some((name) => !has.has(name));
}

function without(path: string, routes: readonly string[]): string[] {
  return routes.filter((route) => isWithin(route, path) && route !== path);
}

function spelling(path: string, exceptions: readonly string[], ending = ''): string {
  const parts = path.slice(1).split('/').map(quoted).join(`${PARAMETERS}/`);
  const others = exceptions.map(quoted).join('|');
  return `^${others && `(?!(?:${others})${END})`}(?i:/${parts})${ending}${PARAMETERS}${END}`;
}

/** A page of a site has an address without its ending too. */
function pagesOf(path: string): string[] {
  const [, page = ''] = /^(.+?)(?:\/index)?\.html$/i.exec(path) ?? [];
  return page === '' ? [] : [`^(?i:${quoted(page)})/?\\z`];
}
