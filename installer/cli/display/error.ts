import { AppError } from '../../errors.ts';
import type { Style } from './style.ts';

/** A failure as a person reads it: what, why, and the next command. */
export function errorText(error: unknown, style: Style): string {
  if (!(error instanceof AppError)) return bugText(error, style);
  const lines = [`${style.bad('✗')} ${capitalised(error.what)}`];
  if (error.why !== undefined) lines.push(...error.why.split('\n').map((line) => `  ${line}`));
  lines.push(...error.hint.split('\n').map((line) => `  ${style.dim('→')} ${line}`));
  lines.push(style.dim(`  (${error.code})`));
  return `${lines.join('\n')}\n`;
}

/** The shape of a failure under `--json`, on standard output. */
export function errorJson(error: unknown): string {
  const body =
    error instanceof AppError
      ? {
          code: error.code,
          what: error.what,
          ...(error.why === undefined ? {} : { why: error.why }),
          hint: error.hint,
          ...(error.details === undefined ? {} : { details: error.details }),
        }
      : { code: 'bug/unexpected', what: messageOf(error), hint: 'Please report this.' };
  return `${JSON.stringify({ version: 1, error: body })}\n`;
}

function bugText(error: unknown, style: Style): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return [
    `${style.bad('✗')} This is a bug in holdfast: ${messageOf(error)}`,
    ...stack.split('\n').slice(1, 12),
    `  ${style.dim('→')} Please report it with the lines above. Running the same command again is safe.`,
    '',
  ].join('\n');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Not what begins with a path or a name, such as `services.web: …` or `config.yaml`: it would no longer be one. */
function capitalised(text: string): string {
  if (!/^[a-z]+(-[a-z]+)*,?( |$)/.test(text)) return text;
  return text.charAt(0).toUpperCase() + text.slice(1);
}
