import { createInterface } from 'node:readline';
import { AppError } from '../errors.ts';
import type { Io } from './context.ts';

/** Lines that a person types, one question at a time. */
export interface LineReader {
  /** The answer without the space around it. @throws AppError `consent/interrupted` at the end of the input */
  readonly ask: (prompt: string) => Promise<string>;
  readonly close: () => void;
}

/** @param again the command to start anew with, should the input end in mid-question */
export function lineReader({ stdin, out }: Io, again: string): LineReader {
  const reader = createInterface({ input: stdin, terminal: false });
  const lines = reader[Symbol.asyncIterator]();
  return {
    ask: async (prompt) => {
      out(prompt);
      const { value, done } = await lines.next();
      if (done !== true) return value.trim();
      throw new AppError({
        code: 'consent/interrupted',
        what: 'the questions were not answered to their end; nothing was written',
        hint: again,
      });
    },
    close: () => reader.close(),
  };
}
