import { z } from 'zod';
import { isCron, isTimeZone, parseDuration, parseSize } from '../model/units.ts';
import { splitCommand } from './split-command.ts';

/**
 * Builders for the values that sections are made of. The `expected` phrase of each is what a message
 * says after "expected"; `explain.ts` makes the sentence around it.
 */

export interface About {
  /** One or two sentences for the reference page, the example file and the editor. */
  readonly description: string;
  readonly examples?: readonly unknown[];
  /** What holds when the key is absent, where the schema itself does not fill it in. */
  readonly default?: unknown;
  /** The same in words, where no single value says it. */
  readonly defaultText?: string;
}

interface Word<T> {
  /** What the reference page calls it. */
  readonly kind: string;
  readonly expected: string;
  readonly parse: (value: unknown) => T | undefined;
  readonly json: Readonly<Record<string, unknown>>;
  /** The message must not repeat the value: it may be a secret that stands in the wrong place. */
  readonly hideValue?: boolean;
}

/** A value with a grammar of its own: one phrase for everything that it is not. */
function word<T>(spec: Word<T>, about: About) {
  return z
    .unknown()
    .transform((value, context): T => {
      const parsed = spec.parse(value);
      if (parsed !== undefined) return parsed;
      context.addIssue({
        code: 'custom',
        message: spec.expected,
        input: value,
        params: { hideValue: spec.hideValue ?? false },
      });
      return z.NEVER;
    })
    .meta({ ...spec.json, kind: spec.kind, ...about });
}

function textMatching(kind: string, expected: string, form: RegExp, about: About, maxLength = 255) {
  const parse = (value: unknown) =>
    typeof value === 'string' && value.length <= maxLength && form.test(value) ? value : undefined;
  return word({ kind, expected, parse, json: { type: 'string', pattern: form.source } }, about);
}

/** Seconds, written `30s 5m 1h 7d 8w 12M 7y`. */
export function duration(about: About) {
  return word(
    {
      kind: 'duration',
      expected: 'a duration such as 30s, 5m, 1h, 7d, 8w, 12M or 7y',
      parse: (value) => (typeof value === 'string' ? parseDuration(value) : undefined),
      json: { type: 'string', pattern: '^\\d{1,9}[smhdwMy]$', unit: 'seconds' },
    },
    about,
  );
}

/** Seconds, written as a whole number or as a duration. */
export function seconds(about: About) {
  return word(
    {
      kind: 'seconds or duration',
      expected: 'a number of seconds or a duration such as 30s or 1h',
      parse: (value) => {
        if (typeof value === 'string') return parseDuration(value);
        return Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : undefined;
      },
      json: { type: ['integer', 'string'], minimum: 0, unit: 'seconds' },
    },
    about,
  );
}

/** Bytes, written `512k 10m 4g`. */
export function size(about: About) {
  return word(
    {
      kind: 'size',
      expected: 'a size such as 512k, 10m or 4g',
      parse: (value) => (typeof value === 'string' ? parseSize(value) : undefined),
      json: { type: 'string', pattern: '^\\d{1,9}[kmgt]$', unit: 'bytes' },
    },
    about,
  );
}

/** A five-field cron schedule, kept as text. */
export function cron(about: About) {
  return word(
    {
      kind: 'cron schedule',
      expected: 'a cron schedule of five fields such as "0 2 * * *"',
      parse: (value) =>
        typeof value === 'string' && isCron(value) ? value.trim().replace(/\s+/g, ' ') : undefined,
      json: { type: 'string' },
    },
    about,
  );
}

export function timeZone(about: About) {
  return word(
    {
      kind: 'time zone',
      expected: 'a time zone such as UTC or Europe/Paris',
      parse: (value) => (typeof value === 'string' && isTimeZone(value) ? value : undefined),
      json: { type: 'string' },
    },
    about,
  );
}

/** A time of day, `HH:MM`, kept as text. */
export function timeOfDay(about: About) {
  return textMatching(
    'time of day',
    'a time of day such as "02:00"',
    /^([01]\d|2[0-3]):[0-5]\d$/,
    about,
  );
}

export function wholeNumber(min: number, max: number, about: About) {
  const expected = `a whole number from ${min} to ${max}`;
  return z
    .int({ error: expected })
    .min(min, { error: expected })
    .max(max, { error: expected })
    .meta({ ...about });
}

export function decimal(min: number, max: number, about: About) {
  const expected = `a number from ${min} to ${max}`;
  return z
    .number({ error: expected })
    .min(min, { error: expected })
    .max(max, { error: expected })
    .meta({ ...about });
}

export function port(about: About) {
  return wholeNumber(1, 65_535, about);
}

export function flag(about: About) {
  return z.boolean({ error: 'true or false' }).meta({ ...about });
}

/** Any text with at least one character. */
export function text(about: About) {
  return z
    .string({ error: 'text' })
    .min(1, { error: 'text that is not empty' })
    .meta({ ...about });
}

/** One line of printable text, for what ends up in a header or a label. */
export function line(about: About) {
  return textMatching(
    'one line of text',
    'one line of printable text',
    /^[^\p{Cc}\p{Cs}]+$/u,
    about,
    4096,
  );
}

/** A version such as 16 or 7.0; a bare number is taken as its text. */
export function versionNumber(about: About) {
  return word(
    {
      kind: 'version',
      expected: 'a version in quotes such as "7" or "7.2"',
      parse: (value) => {
        const written = typeof value === 'number' ? String(value) : value;
        return typeof written === 'string' && /^\d{1,4}(\.\d{1,4}){0,2}$/.test(written)
          ? written
          : undefined;
      },
      json: { type: ['string', 'number'] },
    },
    about,
  );
}

/** One of a few words. Numbers are compared by their text, so `1.2` is `"1.2"`. */
export function choice<const T extends string>(words: readonly T[], about: About) {
  return word(
    {
      kind: 'choice',
      expected: `one of ${words.join(', ')}`,
      parse: (value) => {
        const written = typeof value === 'number' ? String(value) : value;
        return words.find((candidate) => candidate === written);
      },
      json: { enum: [...words] },
    },
    about,
  );
}

const NAME_FORM = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const NAME_PHRASE = 'a name in lower-case letters, digits and hyphens, at most 40 characters';

/** A name that becomes a container, network, volume or file name. */
export function name(about: About) {
  return textMatching('name', NAME_PHRASE, NAME_FORM, about, 40);
}

/** The key of a mapping of named things. */
export const nameKey = z
  .string()
  .max(40, { error: NAME_PHRASE })
  .regex(NAME_FORM, { error: NAME_PHRASE });

/** A name that SQL sees: database, role. */
export function sqlName(about: About) {
  return textMatching(
    'SQL name',
    'a name in lower-case letters, digits and underscores, at most 63 characters',
    /^[a-z_][a-z0-9_]*$/,
    about,
    63,
  );
}

const SECRET_FORM = /^[A-Z][A-Z0-9_]{0,63}$/;

/** The name of a secret, never its value. */
export function secretName(about: About) {
  return word(
    {
      kind: 'secret name',
      expected: 'the name of a secret in capitals such as SMTP_PASSWORD',
      parse: (value) => (typeof value === 'string' && SECRET_FORM.test(value) ? value : undefined),
      json: { type: 'string', pattern: SECRET_FORM.source },
      hideValue: true,
    },
    about,
  );
}

export interface SecretWish {
  readonly name: string;
  /** Written `NAME?`: apply goes on without it. */
  readonly optional: boolean;
}

/** The name of a secret that a container gets; `NAME?` when the container can do without. */
export function secretWish(about: About) {
  return word(
    {
      kind: 'secret name',
      expected:
        'the name of a secret in capitals such as SMTP_PASSWORD, or SMTP_PASSWORD? if optional',
      parse: (value): SecretWish | undefined => {
        if (typeof value !== 'string') return undefined;
        const optional = value.endsWith('?');
        const secret = optional ? value.slice(0, -1) : value;
        return SECRET_FORM.test(secret) ? { name: secret, optional } : undefined;
      },
      json: { type: 'string', pattern: '^[A-Z][A-Z0-9_]{0,63}\\??$' },
      hideValue: true,
    },
    about,
  );
}

const LABEL = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const HOST_FORM = new RegExp(`^${LABEL}(\\.${LABEL})*$`);

/** A DNS name in lower case. */
export function hostName(about: About) {
  return textMatching('host name', 'a host name such as app.example.com', HOST_FORM, about, 253);
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

/** A path inside a container or on the server, from the root. */
export function absolutePath(about: About) {
  return textMatching(
    'absolute path',
    'an absolute path such as /data',
    /^\/(?!.*(?:^|\/)\.\.?(?:\/|$))[\w./@+-]*$/,
    about,
    1024,
  );
}

/** A file or folder beside the config file, or anywhere when absolute. `~/` is the home of the user who applies. */
export function filePath(about: About) {
  return textMatching('file path', 'a file path', /^(?!-)[^\p{Cc}:"'`$\\]+$/u, about, 1024);
}

/** The path of a URL as a route or a probe names it. */
export function urlPath(about: About) {
  return textMatching(
    'URL path',
    'a URL path such as /api/',
    /^\/(?!.*\/\.\.?(?:\/|$))[A-Za-z0-9\-._~!&'()*+,=:@%/]*$/,
    about,
    1024,
  );
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

export function mail(about: About) {
  return textMatching(
    'mail address',
    'a mail address such as ops@example.com',
    /^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$/,
    about,
  );
}

/** A command as argv. Text is split into words by shell-like quoting; no shell takes part. */
export function command(about: About) {
  return word(
    {
      kind: 'command',
      expected: 'a command as text or as a list of words',
      parse: (value): readonly string[] | undefined => {
        if (typeof value === 'string') return splitCommand(value);
        const isArgv =
          Array.isArray(value) &&
          value.length > 0 &&
          value.every((part): part is string => typeof part === 'string' && !part.includes('\0'));
        return isArgv ? value : undefined;
      },
      json: {
        anyOf: [
          { type: 'string', minLength: 1 },
          { type: 'array', items: { type: 'string' }, minItems: 1 },
        ],
      },
    },
    about,
  );
}

/** The value of an environment variable: text, byte for byte. A bare number would lose its spelling. */
export const envValue = word(
  {
    kind: 'text',
    expected: 'text in quotes',
    parse: (value) => (typeof value === 'string' && !value.includes('\0') ? value : undefined),
    json: { type: 'string' },
    hideValue: true,
  },
  { description: 'The value, byte for byte as the container will see it.' },
);

export const envKey = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, {
  error: 'the name of an environment variable: letters, digits and underscores',
});

/** Environment variables by name. */
export function environment(about: About) {
  return z.record(envKey, envValue).meta({ examples: [{ LOG_LEVEL: 'info' }], ...about });
}

/** A list of any such values. */
export function list<T extends z.ZodType>(item: T, about: About) {
  return z.array(item).meta({ ...about });
}

/** A mapping from names of the user's choice to such values. */
export function named<T extends z.ZodType>(value: T, about: About) {
  return z.record(nameKey, value).meta({ ...about });
}

/** A mapping with exactly these keys. */
export function mapping<T extends z.ZodRawShape>(shape: T, about: About) {
  return z.strictObject(shape).meta({ ...about });
}
