/** A name as an SQL identifier, whatever it holds. @throws Error on what no identifier can be. */
export function sqlIdentifier(name: string): string {
  if (name === '' || name.includes('\0'))
    throw new Error('an SQL identifier needs a text without NUL');
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * A text as an SQL literal. Backslashes stand for themselves, so the session must have
 * `standard_conforming_strings` on, as it is by default.
 */
export function sqlLiteral(text: string): string {
  if (text.includes('\0')) throw new Error('an SQL literal cannot hold NUL');
  return `'${text.replaceAll("'", "''")}'`;
}
