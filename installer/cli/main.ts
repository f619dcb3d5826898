#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { env } from '../env.ts';
import { pathsUnder } from '../model/paths.ts';
import type { CliContext, Server } from './context.ts';
import { progressReport } from './display/progress.ts';
import { runCli } from './run.ts';
import { commandTable } from './table.ts';

/** From `installer/cli/` in the sources and from `dist/installer/cli/` in a release. */
function findPackageRoot(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const up = here.includes(`${join('dist', 'installer')}`) ? 3 : 2;
  return join(here, ...Array.from({ length: up }, () => '..'));
}

const packageRoot = findPackageRoot();
// Beside the program: whoever may write there may change the program itself. The default is a folder in the
// temporary one, where another user of the machine could lay down code for us to run.
enableCompileCache(join(packageRoot, 'node_modules', '.cache', 'holdfast'));

/**
 * Whoever reads our output may go before its end, as `head` does. Nothing more is said then, and what was begun is
 * carried out all the same: an apply does not stop halfway because its pager was closed.
 */
function noteClosedOutput(): AbortSignal {
  const closed = new AbortController();
  for (const output of [process.stdout, process.stderr]) {
    output.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      if (output === process.stdout) closed.abort();
    });
  }
  return closed.signal;
}

async function main(): Promise<number> {
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    version: string;
  };
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => interrupted.abort(signal));
  }
  const isTerminal = process.stdout.isTTY === true;
  const columns = process.stdout.columns ?? 100;
  const servers: Server[] = [];
  const paths = pathsUnder(env.root);
  const context: CliContext = {
    io: {
      stdin: process.stdin,
      out: (text) => process.stdout.write(text),
      err: (text) => process.stderr.write(text),
      isTerminal,
      color: isTerminal && !env.noColor && env.terminal !== 'dumb',
      columns,
      closed: noteClosedOutput(),
    },
    paths,
    packageRoot,
    open: async (target) => {
      const { openServer } = await import('./open-server.ts');
      const server = await openServer(target);
      servers.push(server);
      return server;
    },
    report: progressReport({
      write: (text) => process.stderr.write(text),
      isTerminal: process.stderr.isTTY === true,
      color: process.stderr.isTTY === true && !env.noColor,
      columns: process.stderr.columns ?? 100,
    }),
    signal: interrupted.signal,
    now: () => new Date(),
  };
  try {
    const exitCode = await runCli(process.argv.slice(2), commandTable, version, context);
    // What a read-only command was at when the signal came may go on for ever.
    if (exitCode === 130 || exitCode === 143) process.exit(exitCode);
    return exitCode;
  } finally {
    for (const { engine, host } of servers) {
      await engine.close();
      await host.close();
    }
  }
}

process.exitCode = await main();
