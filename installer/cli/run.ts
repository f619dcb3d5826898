import { once } from 'node:events';
import { exitCodeOf } from '../errors.ts';
import type { CommandSpec } from './command.ts';
import type { CliContext } from './context.ts';
import { errorJson, errorText } from './display/error.ts';
import { styleFor } from './display/style.ts';
import { commandHelp, overviewHelp } from './help.ts';
import { parseCommand } from './parse.ts';

/** Runs one command line to its exit code. Prints every failure; throws nothing. */
export async function runCli(
  argv: readonly string[],
  table: readonly CommandSpec[],
  version: string,
  context: CliContext,
): Promise<number> {
  // What follows `--` are the words of another program.
  const ownEnd = argv.indexOf('--');
  const wantsJson = argv.slice(0, ownEnd < 0 ? undefined : ownEnd).includes('--json');
  try {
    const [first] = argv;
    if (first === '--version' || first === '-V') {
      context.io.out(`${version}\n`);
      return 0;
    }
    if (first === 'help' && argv.length > 1) {
      return await runCli([...argv.slice(1), '--help'], table, version, context);
    }
    if (first === undefined || first === 'help' || first === '--help' || first === '-h') {
      context.io.out(overviewHelp(table, version));
      return first === undefined ? 2 : 0;
    }
    const family = table.filter(({ name }) => name.startsWith(`${first} `));
    if (family.length > 0 && (argv[1] === '--help' || argv[1] === '-h')) {
      context.io.out(overviewHelp(family, version));
      return 0;
    }
    const { command, args } = parseCommand(argv, table);
    if (args.flag('help')) {
      context.io.out(commandHelp(command));
      return 0;
    }
    const work = command.run(args, context);
    return await (command.readOnly ? Promise.race([work, signalled(context.signal)]) : work);
  } catch (error) {
    if (wantsJson) context.io.out(errorJson(error));
    else context.io.err(errorText(error, styleFor(context.io.color)));
    return exitCodeOf(error);
  }
}

/** The exit code by which a shell knows that the signal ended a program. */
async function signalled(signal: AbortSignal): Promise<number> {
  if (!signal.aborted) await once(signal, 'abort');
  return signal.reason === 'SIGINT' ? 130 : 143;
}
