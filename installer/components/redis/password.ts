import { createHash } from 'node:crypto';
import type { Secret } from '../../model/secret.ts';
import { ADMIN_USER } from './names.ts';

/** redis-cli that reads its commands, and with them every secret, from standard input. */
export const REDIS_CLI = ['redis-cli'] as const;

/**
 * Lets a user in with one more password; the others stay until the users are loaded from their file.
 * redis-cli ends well whatever the server answers to such input: look for {@link ACCEPTED}.
 */
export function addPasswordInput(admin: Secret, user: string, password: Secret): string {
  const hash = createHash('sha256').update(password.reveal()).digest('hex');
  return `AUTH ${ADMIN_USER} ${quoted(admin.reveal())}\nACL SETUSER ${user} #${hash}\n`;
}

/** What redis-cli prints when both commands were accepted. */
export const ACCEPTED = /^OK\s+OK\s*$/;

/** A word as redis-cli splits its input: in double quotes, with the escapes of sdssplitargs. */
function quoted(text: string): string {
  const bytes = [...Buffer.from(text, 'utf8')];
  const escaped = bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`);
  return `"${escaped.join('')}"`;
}
