import type { Config } from '../sections.ts';

export interface SecurityHeaders {
  /** Sent on HTTPS only, as RFC 6797 wants it. */
  readonly hsts: string;
  /** Undefined sends none. */
  readonly frameOptions: string | undefined;
  readonly noSniff: boolean;
  /**
   * What a page may say better than the edge: sent when the service sends none of that name itself.
   * `variable` is the suffix of nginx's variables for it.
   */
  readonly unlessSet: readonly {
    readonly name: string;
    readonly variable: string;
    readonly value: string;
  }[];
}

/** The headers of every answer. */
export function securityHeaders(config: Config): SecurityHeaders {
  const { headers, csp, cspReportOnly } = config.http;
  const policy = contentSecurityPolicy(csp);
  const candidates: readonly (readonly [string, string | undefined])[] = [
    ['Referrer-Policy', headers.referrerPolicy],
    ['Permissions-Policy', headers.permissionsPolicy],
    [cspReportOnly ? 'Content-Security-Policy-Report-Only' : 'Content-Security-Policy', policy],
  ];
  return {
    hsts: strictTransportSecurity(config.tls.hsts),
    frameOptions: headers.frameOptions === 'none' ? undefined : headers.frameOptions,
    noSniff: headers.noSniff,
    unlessSet: candidates.flatMap(([name, value]) =>
      value === undefined || value === ''
        ? []
        : [
            {
              name,
              variable: name.toLowerCase().replaceAll('-', '_'),
              value,
            },
          ],
    ),
  };
}

/** Directives in alphabetical order, so that the same policy always renders the same. */
export function contentSecurityPolicy(csp: Config['http']['csp']): string {
  return Object.entries(csp)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([directive, sources]) => [directive, ...sources].join(' '))
    .join('; ');
}

function strictTransportSecurity(hsts: Config['tls']['hsts']): string {
  if (hsts === undefined) return '';
  return [
    `max-age=${hsts.maxAge}`,
    ...(hsts.includeSubDomains ? ['includeSubDomains'] : []),
    ...(hsts.preload ? ['preload'] : []),
  ].join('; ');
}
