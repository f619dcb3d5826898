import { createInterface } from 'node:readline/promises';
import { AppError } from '../errors.ts';
import type { CliContext } from './context.ts';

export interface Question {
  readonly text: string;
  /** What has to be typed; `y` or `yes` when absent. */
  readonly word?: string;
  /** The same command with its consent, for a run without a terminal. */
  readonly withConsent: string;
}

/** @throws AppError `consent/no-terminal` where nobody can be asked */
export async function consent({ io }: CliContext, question: Question): Promise<boolean> {
  if (io.stdin.isTTY !== true) {
    throw new AppError({
      code: 'consent/no-terminal',
      what: 'this needs a yes, and there is no terminal to ask on',
      why: 'nothing was changed',
      hint: question.withConsent,
    });
  }
  const reader = createInterface({ input: io.stdin, output: process.stdout });
  try {
    const answer = (await reader.question(question.text)).trim();
    return question.word === undefined ? /^y(es)?$/i.test(answer) : answer === question.word;
  } finally {
    reader.close();
  }
}
