import type { PathStep } from '../components/rules/finding.ts';

/** One thing that is wrong, or odd, in a config file. */
export interface Problem {
  /** Name of the file as the user gave it. */
  readonly file: string;
  /** From the top of the file, such as `services.api.routes[0].host`; empty for the file as a whole. */
  readonly path: string;
  /** From 1; 0 when the problem has no place in the text, such as a file that is too large. */
  readonly line: number;
  /** From 1, in UTF-16 units; 0 with line 0. */
  readonly column: number;
  readonly message: string;
  /** Stable, such as `config/unknown-key`. */
  readonly code: `config/${string}`;
  readonly severity: 'error' | 'warning';
}

/** `services.api.routes[0].host`; a key with other characters than letters, digits, `_` and `-` is quoted. */
export function formatPath(path: readonly PathStep[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[\w-]+$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${quoted(step)}]`;
  }
  return text;
}

/** The text in quotes on one line, cut when long. */
export function quoted(text: string, longest = 60): string {
  const short = text.length > longest ? `${text.slice(0, longest - 1)}…` : text;
  return JSON.stringify(short).replace(/[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '?');
}

/** `config.yaml:14:7 services.api.replicas: expected …`, the form that editors and people jump to. */
export function formatProblem(problem: Problem): string {
  const place =
    problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file;
  return problem.path === ''
    ? `${place} ${problem.message}`
    : `${place} ${problem.path}: ${problem.message}`;
}
