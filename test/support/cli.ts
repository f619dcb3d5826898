import { PassThrough } from 'node:stream';
import type { CommandSpec } from '../../installer/cli/command.ts';
import type { CliContext, Server } from '../../installer/cli/context.ts';
import { runCli } from '../../installer/cli/run.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

export interface CliRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line in this process against the server given, on a terminal only when asked to. */
export async function runCommand(
  argv: readonly string[],
  table: readonly CommandSpec[],
  options: {
    readonly server?: Server;
    readonly more?: Partial<CliContext>;
    readonly stdin?: string;
    readonly terminal?: boolean;
  } = {},
): Promise<CliRun> {
  let stdout = '';
  let stderr = '';
  const isTerminal = options.terminal ?? false;
  const stdin = Object.assign(new PassThrough(), { isTTY: isTerminal });
  stdin.end(options.stdin ?? '');
  const context: CliContext = {
    io: {
      stdin,
      out: (text) => {
        stdout += text;
      },
      err: (text) => {
        stderr += text;
      },
      isTerminal,
      color: false,
      columns: 80,
    },
    paths: pathsUnder(),
    packageRoot: new URL('../..', import.meta.url).pathname,
    open: async () => {
      if (options.server === undefined) throw new Error('this command opens a server');
      return options.server;
    },
    report: () => undefined,
    signal: new AbortController().signal,
    now: () => new Date('2026-11-21T12:00:00Z'),
    ...options.more,
  };
  const exitCode = await runCli(argv, table, '1.2.3', context);
  return { exitCode, stdout, stderr };
}
