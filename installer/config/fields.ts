import { z } from 'zod';
import { isCron, parseDuration, parseSize, timeZoneNamed } from '../model/units.ts';

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
  /** A function where the phrase depends on what was found. */
  readonly expected: string | ((value: unknown) => string);
  readonly parse: (value: unknown) => T | undefined;
  readonly json: Readonly<Record<string, unknown>>;
  /** The message must not repeat the value: it may be a secret that stands in the wrong place. */
  readonly hideValue?: boolean;
}

/** A value with a grammar of its own: one phrase for everything that it is not. */
export function word<T>(spec: Word<T>, about: About) {
  return z
    .unknown()
    .transform((value, context): T => {
      const parsed = spec.parse(value);
      if (parsed !== undefined) return parsed;
      context.addIssue({
        code: 'custom',
        message: typeof spec.expected === 'string' ? spec.expected : spec.expected(value),
        input: value,
        params: { hideValue: spec.hideValue ?? false },
      });
      return z.NEVER;
    })
    .meta({ ...spec.json, kind: spec.kind, ...about });
}

export function textMatching(
  kind: string,
  expected: string,
  form: RegExp,
  about: About,
  maxLength = 255,
) {
  const parse = (value: unknown) =>
    typeof value === 'string' && value.length <= maxLength && form.test(value) ? value : undefined;
  return word({ kind, expected, parse, json: { type: 'string', pattern: form.source } }, about);
}

/** Seconds, written `30s 5m 1h 7d 8w 12M 7y`; no fewer than `least`. */
export function duration(about: About, least = 0) {
  const parse = (value: unknown) => (typeof value === 'string' ? parseDuration(value) : undefined);
  return word(
    {
      kind: 'duration',
      expected: (value) =>
        parse(value) === undefined
          ? 'a duration such as 30s, 5m, 1h, 7d, 8w, 12M or 7y'
          : `a duration of at least ${least}s`,
      parse: (value) => {
        const seconds = parse(value);
        return seconds !== undefined && seconds >= least ? seconds : undefined;
      },
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

/** Bytes, written `512k 10m 4g`; at least 1 for what takes 0 as no limit at all. */
export function size(about: About, least: 0 | 1 = 0) {
  const parse = (value: unknown) => (typeof value === 'string' ? parseSize(value) : undefined);
  return word(
    {
      kind: 'size',
      expected: (value) =>
        parse(value) === 0 ? 'a size of at least 1k' : 'a size such as 512k, 10m or 4g',
      parse: (value) => {
        const bytes = parse(value);
        return bytes !== undefined && bytes >= least ? bytes : undefined;
      },
      json: { type: 'string', pattern: '^\\d{1,9}[kmgt]$', unit: 'bytes' },
    },
    about,
  );
}

/** The engine takes no smaller limit, and takes 0 for no limit at all; so does Redis. */
const LEAST_MEMORY = 6 * 1024 ** 2;

/** Bytes of memory that a container may have. */
export function memory(about: About) {
  return word(
    {
      kind: 'size',
      expected: 'a size of at least 6m, such as 256m or 4g',
      parse: (value) => {
        const bytes = typeof value === 'string' ? parseSize(value) : undefined;
        return bytes !== undefined && bytes >= LEAST_MEMORY ? bytes : undefined;
      },
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
      parse: (value) => (typeof value === 'string' ? timeZoneNamed(value) : undefined),
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

/** A list of any such values. */
export function list<T extends z.ZodType>(item: T, about: About) {
  return z.array(item).meta({ ...about });
}

/** A mapping with exactly these keys. */
export function mapping<T extends z.ZodRawShape>(shape: T, about: About) {
  return z.strictObject(shape).meta({ ...about });
}
