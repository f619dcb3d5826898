import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';

const ENDING = '.holdfast-tmp';

/** A leftover is a sibling that a killed process did not rename; a write takes far less than this, seconds. */
export const LEFTOVER_AGE_SECONDS = 600;

/** A fresh sibling of `path`, hidden, so that no program's `*.conf` or `*.yml` picks it up. */
export function temporarySibling(path: string): string {
  return posix.join(
    posix.dirname(path),
    `${leftoverPrefix(path)}${randomBytes(6).toString('hex')}${ENDING}`,
  );
}

function leftoverPrefix(path: string): string {
  return `.${posix.basename(path)}.`;
}

export function isTemporarySiblingOf(path: string, name: string): boolean {
  const prefix = leftoverPrefix(path);
  return name.startsWith(prefix) && /^[0-9a-f]{12}\.holdfast-tmp$/.test(name.slice(prefix.length));
}

/** The same as a pattern of `find -name`, where some characters of a name would be wildcards. */
export function leftoverPattern(path: string): string {
  return `${leftoverPrefix(path).replace(/[\\*?[\]]/g, '\\$&')}????????????${ENDING}`;
}

export function isTemporary(name: string): boolean {
  return name.endsWith(ENDING);
}
