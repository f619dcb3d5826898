import { fs } from './builtins.ts';

const STANDARD_OUTPUT = 1;

/** One line per event on standard output, where systemd's journal or the supervisor's file keeps it. */
export type Log = (text: string) => void;

export const log: Log = (text) => {
  try {
    fs.writeSync(STANDARD_OUTPUT, `${text.replaceAll('\n', ' | ')}\n`);
  } catch {
    // Nobody reads, or the disk is full: there is no other place to say it, and the work goes on.
  }
};

/** The words of a thrown value, for a log line. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
