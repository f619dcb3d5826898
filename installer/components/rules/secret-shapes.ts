/** Recognises secrets by their looks. Nothing here ever returns the text itself. */

interface Shape {
  readonly what: string;
  /** Runs in linear time: every open end is bounded or cannot start over within itself. */
  readonly form: RegExp;
}

const SHAPES: readonly Shape[] = [
  {
    what: 'a URL with a password in it',
    form: /[a-z][a-z0-9+.-]{0,30}:\/\/[^\s/?#@:]*:[^\s/?#@]+@/i,
  },
  { what: 'a private key', form: /-----BEGIN [A-Z ]*PRIVATE KEY( BLOCK)?-----/ },
  { what: 'an age identity', form: /AGE-SECRET-KEY-1[A-Z0-9]{20,}/i },
  { what: 'an AWS access key', form: /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/ },
  { what: 'a GitHub token', form: /\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})/ },
  { what: 'a GitLab token', form: /\bglpat-[A-Za-z0-9_-]{18,}/ },
  { what: 'a Slack token', form: /\bxox[abeoprs]-[A-Za-z0-9-]{10,}/ },
  { what: 'a Slack webhook', form: /hooks\.slack\.com\/services\/T[A-Z0-9]+\/B[A-Z0-9]+\// },
  { what: 'a Discord webhook', form: /discord(?:app)?\.com\/api\/webhooks\/\d+\/[\w-]{20,}/ },
  {
    what: 'a Stripe key',
    form: /\b(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,}|\bwhsec_[A-Za-z0-9+/=]{16,}/,
  },
  { what: 'a SendGrid key', form: /\bSG\.[\w-]{16,}\.[\w-]{16,}/ },
  { what: 'a Google API key', form: /\bAIza[\w-]{35}/ },
  { what: 'an npm token', form: /\bnpm_[A-Za-z0-9]{30,}/ },
  { what: 'an API key', form: /\bsk-[A-Za-z0-9_-]{20,}/ },
  { what: 'a signed token (JWT)', form: /\beyJ[\w-]{10,200}\.eyJ[\w-]{10,1000}\.[\w-]{10}/ },
];

/** What kind of secret the text holds, such as `a private key`; undefined when it looks harmless. */
export function secretShape(text: string): string | undefined {
  return SHAPES.find((shape) => shape.form.test(text))?.what;
}

const SECRET_NAME = /(?:PASSWORD|SECRET|TOKEN|KEY)$/i;
const MADE_FOR_THE_PUBLIC = /(?:^|_)(?:PUBLIC|PUBLISHABLE)(?:_|$)/i;

/** Whether a variable of this name holds a secret: by its ending, unless the name says that it is public. */
export function isSecretVariable(name: string): boolean {
  return SECRET_NAME.test(name) && !MADE_FOR_THE_PUBLIC.test(name);
}

const PLACEHOLDER =
  /^(?:please[-_ ]?)?change[-_ ]?(?:me|this|it)(?:[-_ ]?(?:now|please))?[!.]*$|^admin123!?$|^(?:your|my)[-_][\w-]*(?:secret|password|token|key)[\w-]*$|^<[^<>]+>$/i;
const LAZY_CREDENTIAL =
  /^(?:admin|administrator|root|password|passw0rd|secret|test|guest|1234(?:5|56|567|5678|56789)?|qwerty|letmein)!?$/i;
const CREDENTIAL_NAME = /(?:USER|LOGIN|PASS|PWD|SECRET|TOKEN|KEY|CRED|ADMIN)/i;

/** Whether a variable was left at a value that everybody tries first. */
export function isPlaceholder(name: string, value: string): boolean {
  if (value.length > 200) return false;
  return PLACEHOLDER.test(value) || (CREDENTIAL_NAME.test(name) && LAZY_CREDENTIAL.test(value));
}
