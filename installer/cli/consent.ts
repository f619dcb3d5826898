import { AppError } from '../errors.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';
import { lineReader } from './line-reader.ts';

export interface Question {
  readonly text: string;
  /** What has to be typed; `y` or `yes` when absent. */
  readonly word?: string;
}

/**
 * Whether somebody agrees; `--yes` is an answer. Asks on standard error: standard output may be an answer as JSON.
 * @throws AppError `consent/no-terminal` where nobody can be asked, `consent/interrupted` when nobody answers
 */
export async function consent(
  args: ParsedArguments,
  context: CliContext,
  { text, word }: Question,
): Promise<boolean> {
  if (args.flag('yes')) return true;
  requireTerminal(args, context, 'this needs a yes, and there is no terminal to ask on');
  const reader = lineReader(context, {
    write: context.io.err,
    unanswered: 'interrupted before the answer: what was asked about was not done',
    again: args.commandLine(),
  });
  try {
    const answer = await reader.ask(text);
    return word === undefined ? /^y(es)?$/i.test(answer) : answer === word;
  } finally {
    reader.close();
  }
}

/** @throws AppError `consent/no-terminal` */
export function requireTerminal(args: ParsedArguments, { io }: CliContext, what: string): void {
  if (io.stdin.isTTY === true) return;
  throw new AppError({
    code: 'consent/no-terminal',
    what,
    why: 'nothing was changed',
    hint: args.commandLine('--yes'),
  });
}

/** What a command ends with when the answer was no. */
export function refused(args: ParsedArguments, what = 'nothing was changed'): AppError {
  return new AppError({
    code: 'consent/refused',
    what,
    why: 'the answer was no',
    hint: args.commandLine(),
  });
}
