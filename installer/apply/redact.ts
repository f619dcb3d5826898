import type { Secret } from '../model/secret.ts';

/** Shorter values are words that occur by chance. */
const SHORTEST = 6;

/** What a program said, with every known secret value (also as base64 or percent-encoded) blotted out. */
export function redact(text: string, secrets: Iterable<Secret>): string {
  let clean = text;
  for (const secret of secrets) {
    const value = secret.reveal();
    if (value.trim().length < SHORTEST) continue;
    for (const form of [
      value,
      value.trim(),
      encodeURIComponent(value),
      Buffer.from(value).toString('base64'),
    ]) {
      clean = clean.replaceAll(form, '[redacted]');
    }
  }
  return clean;
}
