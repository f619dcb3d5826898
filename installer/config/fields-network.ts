import { z } from 'zod';
import { decodedPath, isBelow } from '../model/url-path.ts';
import { type About, textMatching, word } from './fields.ts';

const LABEL = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
/** A name never ends in a part of digits alone: that would be an address. */
const HOST_FORM = new RegExp(`^(?!(.*\\.)?\\d+$)${LABEL}(\\.${LABEL})*$`);

/** Files have the names of hosts, with an ending and, while they are written, more: 255 bytes in all. */
const LONGEST_HOST = 200;

/** A DNS name in lower case. */
export function hostName(about: About) {
  return word(
    {
      kind: 'host name',
      expected: (value) =>
        typeof value === 'string' && value.length > LONGEST_HOST && HOST_FORM.test(value)
          ? `a host name of at most ${LONGEST_HOST} characters`
          : 'a host name such as app.example.com',
      parse: (value) =>
        typeof value === 'string' && value.length <= LONGEST_HOST && HOST_FORM.test(value)
          ? value
          : undefined,
      json: { type: 'string', pattern: HOST_FORM.source },
    },
    about,
  );
}

export function hostNameOrAddress(about: About) {
  return word(
    {
      kind: 'host name or address',
      expected: 'a host name or an IP address',
      parse: (value) =>
        typeof value === 'string' && (HOST_FORM.test(value) || isAddress(value))
          ? value
          : undefined,
      json: { type: 'string' },
    },
    about,
  );
}

/** Host pattern with `*` inside the first label, such as `pr-*.preview.example.com`. */
export function hostPattern(about: About) {
  return textMatching(
    'host pattern',
    'a host name with one * in its first part such as pr-*.preview.example.com',
    new RegExp(`^[a-z0-9-]*\\*[a-z0-9-]*(\\.${LABEL})+$`),
    about,
  );
}

/** An address or a network in CIDR notation. */
export function cidr(about: About) {
  return word(
    {
      kind: 'network',
      expected: 'an address or a network such as 203.0.113.7 or 10.0.0.0/8',
      parse: (value) => (typeof value === 'string' && isCidr(value) ? value : undefined),
      json: { type: 'string' },
    },
    about,
  );
}

/** A network, or the word `any`. */
export function cidrOrAny(about: About) {
  return word(
    {
      kind: 'network or any',
      expected: 'any, or an address or a network such as 203.0.113.7 or 10.0.0.0/8',
      parse: (value) =>
        typeof value === 'string' && (value === 'any' || isCidr(value)) ? value : undefined,
      json: { type: 'string' },
    },
    about,
  );
}

function isAddress(text: string): boolean {
  return z.ipv4().safeParse(text).success || z.ipv6().safeParse(text).success;
}

function isCidr(text: string): boolean {
  return (
    isAddress(text) || z.cidrv4().safeParse(text).success || z.cidrv6().safeParse(text).success
  );
}

const IMAGE_FORM =
  /^(?:[a-z0-9.-]+(?::\d{1,5})?\/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;

/** An image reference. That it names a tag or a digest is a rule of its own, with its own message. */
export function image(about: About) {
  return textMatching('image', 'an image such as ghcr.io/acme/web:1.4.2', IMAGE_FORM, about, 512);
}

const PATH_FORM = /^\/(?!.*\/\.\.?(?:\/|$))[A-Za-z0-9\-._~!&'()*+,=:@%/]*$/;
const PATH_PHRASE = 'a URL path such as /api/';

/** The path of a URL as a probe names it. */
export function urlPath(about: About) {
  return textMatching('URL path', PATH_PHRASE, PATH_FORM, about, 1024);
}

/** A path that nginx compares with those of requests. */
export function edgePath(about: About) {
  return word(
    {
      kind: 'URL path',
      expected: (value) => edgePathFault(value) ?? PATH_PHRASE,
      parse: (value) =>
        typeof value === 'string' && edgePathFault(value) === undefined ? value : undefined,
      json: { type: 'string', pattern: PATH_FORM.source },
    },
    about,
  );
}

/** What it would have to be. */
function edgePathFault(path: unknown): string | undefined {
  if (typeof path !== 'string' || path.length > 1024 || !PATH_FORM.test(path)) return PATH_PHRASE;
  const decoded = decodedPath(path);
  if (decoded === undefined) return 'a URL path whose % codes stand for text in UTF-8';
  if (decoded.includes('//')) return 'a URL path without // (nginx takes slashes in a row for one)';
  if (/\/\.\.?(?:\/|$)/.test(decoded)) return 'a URL path without . or .. between slashes';
  if (/[$\p{Cc}]/u.test(decoded)) {
    return 'a URL path that stands for no dollar sign and no control character';
  }
  if (isBelow(decoded, '/.holdfast')) return 'a URL path outside of /.holdfast/, which is our own';
  return undefined;
}

/** An http or https URL without a user or a password in it. */
export function url(about: About) {
  return word(
    {
      kind: 'URL',
      expected: 'a URL such as https://example.com/health, without a user or password in it',
      parse: (value) => {
        if (typeof value !== 'string' || /\s/.test(value) || !URL.canParse(value)) return undefined;
        const parsed = new URL(value);
        const plain = parsed.username === '' && parsed.password === '';
        return plain && /^https?:$/.test(parsed.protocol) ? value : undefined;
      },
      json: { type: 'string', format: 'uri' },
    },
    about,
  );
}

/**
 * A URL that is put before the path of a request, in requests and in strings of nginx's, which know no escape for a
 * dollar sign and hold 4096 bytes.
 */
export function urlBeforePath(about: About) {
  return url(about).refine((value) => value.length <= 1024 && !/[$?#]/.test(value), {
    error: 'a URL of at most 1024 characters, without $, ? or #',
  });
}

export function mail(about: About) {
  return textMatching(
    'mail address',
    'a mail address such as ops@example.com',
    /^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$/,
    about,
  );
}
