/**
 * Splits a command line into words: blanks separate, single quotes keep everything, double quotes keep
 * everything but `\"` and `\\`, a backslash keeps the next character. No variable, glob or operator has a meaning.
 * Undefined when nothing is left or a quote stays open.
 */
export function splitCommand(line: string): readonly string[] | undefined {
  const words: string[] = [];
  let current: string | undefined;
  let quote: '"' | "'" | undefined;
  for (let index = 0; index < line.length; index += 1) {
    const character = line[index] ?? '';
    const next = line[index + 1];
    if (quote !== undefined) {
      if (character === quote) quote = undefined;
      else if (quote === '"' && character === '\\' && (next === '"' || next === '\\')) {
        current = (current ?? '') + next;
        index += 1;
      } else current = (current ?? '') + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      current ??= '';
    } else if (/\s/.test(character)) {
      if (current !== undefined) words.push(current);
      current = undefined;
    } else if (character === '\\') {
      if (next === undefined) return undefined;
      current = (current ?? '') + next;
      index += 1;
    } else current = (current ?? '') + character;
  }
  if (quote !== undefined) return undefined;
  if (current !== undefined) words.push(current);
  return words.length > 0 ? words : undefined;
}
