import { AppError, type ErrorCode } from '../errors.ts';
import { quote } from './quote.ts';

export type CommandFailure = 'exit' | 'timeout' | 'signal' | 'spawn' | 'connection';

export interface CommandErrorFields {
  readonly reason: CommandFailure;
  readonly argv: readonly string[];
  /** Name of the host that it ran on. */
  readonly host: string;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly timeoutSeconds?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly cause?: unknown;
}

const SHOWN_ARGUMENTS = 300;
const SHOWN_LINES = 15;

const CODES: Readonly<Record<CommandFailure, ErrorCode>> = {
  exit: 'host/command-failed',
  timeout: 'host/command-timeout',
  signal: 'host/command-killed',
  spawn: 'host/program-missing',
  connection: 'host/connection-lost',
};

/** A program that did not end as it should. Its arguments are shown: they never hold a secret. */
export class CommandError extends AppError {
  readonly reason: CommandFailure;
  readonly argv: readonly string[];
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;

  constructor(fields: CommandErrorFields) {
    const why = lastLines(fields.stderr ?? '') || lastLines(fields.stdout ?? '');
    super({
      code: CODES[fields.reason],
      what: describe(fields),
      ...(why === '' ? {} : { why }),
      hint: hintFor(fields),
      cause: fields.cause,
      details: { reason: fields.reason, argv: fields.argv, exitCode: fields.exitCode },
    });
    this.name = 'CommandError';
    this.reason = fields.reason;
    this.argv = fields.argv;
    this.exitCode = fields.exitCode;
    this.stdout = fields.stdout ?? '';
    this.stderr = fields.stderr ?? '';
  }
}

function describe(fields: CommandErrorFields): string {
  const command = `\`${shown(fields.argv)}\` on ${fields.host}`;
  switch (fields.reason) {
    case 'exit':
      return `${command} ended with exit code ${fields.exitCode}`;
    case 'timeout':
      return `${command} did not end within ${fields.timeoutSeconds} s and was stopped`;
    case 'signal':
      return `${command} was ended by signal ${fields.signal}`;
    case 'spawn':
      return `${command} could not be started`;
    case 'connection':
      return `the connection was lost during ${command}`;
  }
}

function hintFor(fields: CommandErrorFields): string {
  switch (fields.reason) {
    case 'spawn':
      return `install the package that brings \`${fields.argv[0]}\`, then run the same holdfast command again`;
    case 'connection':
      return 'check that the server can be reached, then run the same holdfast command again: it carries on';
    case 'timeout':
      return 'run the same holdfast command again; `holdfast doctor` tells whether the machine is overloaded';
    default:
      return `run \`${shown(fields.argv)}\` by hand to see all of its output`;
  }
}

function shown(argv: readonly string[]): string {
  const line = quote(argv).replaceAll('\n', '\\n');
  return line.length > SHOWN_ARGUMENTS ? `${line.slice(0, SHOWN_ARGUMENTS)} …` : line;
}

function lastLines(output: string): string {
  return output.trimEnd().split('\n').slice(-SHOWN_LINES).join('\n');
}
