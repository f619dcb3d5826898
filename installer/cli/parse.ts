import { parseArgs } from 'node:util';
import { AppError } from '../errors.ts';
import { quote } from '../host/quote.ts';
import type { CommandSpec, OptionSpec, ParsedArguments } from './command.ts';

export interface ParsedCommand {
  readonly command: CommandSpec;
  readonly args: ParsedArguments;
}

/** Every command understands these. */
export const COMMON_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  help: { type: 'boolean', short: 'h', description: 'Show the help of the command.' },
};

/**
 * Finds the command of a command line and parses its options.
 * @throws AppError `usage/…` for an unknown command, an unknown option or the wrong number of arguments
 */
export function parseCommand(
  argv: readonly string[],
  table: readonly CommandSpec[],
): ParsedCommand {
  const command =
    table.find(({ name }) => name === argv.slice(0, 2).join(' ')) ??
    table.find(({ name }) => name === argv[0]);
  if (command === undefined) throw unknownCommand(argv, table);
  const words = command.name.split(' ').length;
  const options = { ...command.options, ...COMMON_OPTIONS };
  const parsed = parseOptions(command, argv.slice(words), options);
  const positionals = parsed.positionals;
  const { minPositionals = 0, maxPositionals = minPositionals } = command;
  const isHelp = parsed.values['help'] === true;
  if (!isHelp && (positionals.length < minPositionals || positionals.length > maxPositionals)) {
    throw new AppError({
      code: 'usage/arguments',
      what: `"holdfast ${command.name}" takes ${command.positionals ?? 'no arguments'}, got ${positionals.length === 0 ? 'none' : positionals.map((word) => JSON.stringify(word)).join(' ')}`,
      hint: `holdfast ${command.name} --help`,
    });
  }
  return {
    command,
    args: {
      positionals,
      flag: (name) => parsed.values[name] === true,
      value: (name) => {
        const value = parsed.values[name];
        return typeof value === 'string' ? value : undefined;
      },
      // Ahead of what was typed, where a `--` among it cannot make them words.
      commandLine: (...more) =>
        ['holdfast', command.name, quote([...more, ...argv.slice(words)])].join(' ').trimEnd(),
    },
  };
}

function parseOptions(
  command: CommandSpec,
  argv: readonly string[],
  options: Readonly<Record<string, OptionSpec>>,
) {
  try {
    return parseArgs({
      args: [...argv],
      options: Object.fromEntries(
        Object.entries(options).map(([name, { type, short }]) => [
          name,
          short === undefined ? { type } : { type, short },
        ]),
      ),
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    const isUsage =
      error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_');
    if (!isUsage) throw error;
    throw new AppError({
      code: 'usage/options',
      what: error.message.split('. ')[0] ?? error.message,
      hint: `holdfast ${command.name} --help`,
      cause: error,
    });
  }
}

function unknownCommand(argv: readonly string[], table: readonly CommandSpec[]): AppError {
  const [first = ''] = argv;
  const family = table.filter(({ name }) => name.startsWith(`${first} `));
  if (family.length > 0) {
    return new AppError({
      code: 'usage/unknown-command',
      what: `"holdfast ${first}" needs one of: ${family.map(({ name }) => name.slice(first.length + 1)).join(', ')}`,
      hint: `holdfast ${first} --help`,
    });
  }
  const near = table.find(({ name }) => name.startsWith(first.slice(0, 3)));
  return new AppError({
    code: 'usage/unknown-command',
    what: `there is no command ${JSON.stringify(first)}${near === undefined ? '' : ` (did you mean "${near.name}"?)`}`,
    hint: 'holdfast --help',
  });
}

/** @throws AppError `usage/options` when the text is no whole number in the range */
export function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new AppError({
    code: 'usage/options',
    what: `--${option} takes a whole number from ${least} to ${most}, got ${JSON.stringify(text)}`,
    hint: 'holdfast --help',
  });
}
