import { z } from 'zod';
import { type About, textMatching, word } from './fields.ts';
import { splitCommand } from './split-command.ts';

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

const WHOLE_TEXT = 'text of whole characters without NUL';

/** What an environment or an argument can hold: no NUL, and no half of a character, which UTF-8 has no bytes for. */
function isPlainText(value: string): boolean {
  return !value.includes('\0') && value.isWellFormed();
}

/** A command as argv. Text is split into words by shell-like quoting; no shell takes part. */
export function command(about: About) {
  return word(
    {
      kind: 'command',
      expected: 'a command as text or as a list of words',
      parse: (value): readonly string[] | undefined => {
        if (typeof value === 'string') return isPlainText(value) ? splitCommand(value) : undefined;
        const isArgv =
          Array.isArray(value) &&
          value.length > 0 &&
          value.every((part): part is string => typeof part === 'string' && isPlainText(part));
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

/** Linux hands no program a word of more than 128 KiB; the name of the variable is part of that. */
const LARGEST_VALUE = 120 * 1024;

function isShort(value: string): boolean {
  return Buffer.byteLength(value) <= LARGEST_VALUE;
}

function expectedValue(value: unknown): string {
  if (typeof value !== 'string') return 'text in quotes';
  return isShort(value) ? WHOLE_TEXT : 'text of at most 120 KiB';
}

/** The value of an environment variable: text, byte for byte. A bare number would lose its spelling. */
export const envValue = word(
  {
    kind: 'text',
    expected: expectedValue,
    parse: (value) =>
      typeof value === 'string' && isShort(value) && isPlainText(value) ? value : undefined,
    json: { type: 'string', maxLength: LARGEST_VALUE },
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

/** A mapping from names of the user's choice to such values. */
export function named<T extends z.ZodType>(value: T, about: About) {
  return z.record(nameKey, value).meta({ ...about });
}
