import type { Style } from './style.ts';

/** Colours the lines of a plan by their first sign. */
export function colouredPlan(text: string, style: Style): string {
  return text
    .split('\n')
    .map((line) => {
      const sign = line.trimStart().charAt(0);
      if (
        line.startsWith('drift:') ||
        line.includes('[recreate]') ||
        line.includes('[destructive]')
      )
        return style.warn(line);
      if (line.startsWith('note:')) return style.dim(line);
      if (sign === '+') return style.good(line);
      if (sign === '-') return style.bad(line);
      return line;
    })
    .join('\n');
}
