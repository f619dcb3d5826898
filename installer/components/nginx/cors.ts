import type { Config } from '../sections.ts';

/** Answers to cross-origin requests, as data for the templates. */
export interface Cors {
  /** Regular expressions for the whole `Origin` header; a browser sends it in lower case. */
  readonly origins: readonly string[];
  /** Everybody may read, without cookies or passwords. */
  readonly everybody: boolean;
  readonly credentials: boolean;
}

/** What a preflight may ask for; which of them a path takes, its service says. */
export const CORS_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

/** Seconds for which a browser remembers a preflight: no browser keeps one for longer than a day. */
export const CORS_MAX_AGE = 7200;

/** Undefined leaves cross-origin requests to the services. */
export function corsOf({ cors }: Config['http']): Cors | undefined {
  if (cors === undefined || cors.allowOrigins.length === 0) return undefined;
  const everybody = cors.allowOrigins.includes('*');
  return {
    origins: everybody ? [] : cors.allowOrigins.map(originPattern).sort(),
    everybody,
    // Browsers refuse credentials with an answer for everybody, and so does this.
    credentials: cors.credentials && !everybody,
  };
}

function originPattern(origin: string): string {
  const text = origin.replaceAll('.', '\\.');
  // \z and not a dollar sign, for which nginx has no escape.
  return `^${text.replace('*\\.', '([a-z0-9_-]+\\.)+')}\\z`;
}
