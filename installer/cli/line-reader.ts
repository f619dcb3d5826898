import { createInterface } from 'node:readline';
import { AppError } from '../errors.ts';
import type { CliContext } from './context.ts';

/** Lines that a person types, one question at a time. */
export interface LineReader {
  /**
   * The answer without the space around it.
   * @throws AppError `consent/interrupted` at the end of the input, and at a signal
   */
  readonly ask: (prompt: string) => Promise<string>;
  readonly close: () => void;
}

export interface Asking {
  readonly write: (text: string) => void;
  /** What is so when the questions end before they are answered. */
  readonly unanswered: string;
  /** The command to start anew with then. */
  readonly again: string;
}

export function lineReader(
  { io: { stdin }, signal }: Pick<CliContext, 'io' | 'signal'>,
  { write, unanswered, again }: Asking,
): LineReader {
  const reader = createInterface({ input: stdin, terminal: false });
  const lines = reader[Symbol.asyncIterator]();
  const close = () => {
    signal.removeEventListener('abort', close);
    reader.close();
  };
  signal.addEventListener('abort', close);
  if (signal.aborted) close();
  return {
    ask: async (prompt) => {
      write(prompt);
      const { value, done } = await lines.next();
      if (done !== true) return value.trim();
      // The terminal shows ^C or nothing after the prompt; what follows begins on a line of its own.
      write('\n');
      throw new AppError({
        code: 'consent/interrupted',
        what: unanswered,
        hint: again,
      });
    },
    close,
  };
}
