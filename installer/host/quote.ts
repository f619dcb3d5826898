const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/**
 * An argument vector as one line that a POSIX shell splits back into exactly these arguments.
 * The only place where arguments become text: for the remote command line of SSH and for messages.
 */
export function quote(argv: readonly string[]): string {
  return argv.map(quoteWord).join(' ');
}

function quoteWord(word: string): string {
  if (word.includes('\0')) throw new TypeError('An argument cannot hold a NUL character');
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
