import { check } from './check.ts';
import type { ParsedArguments } from './command.ts';
import { configBytes } from './config-bytes.ts';
import type { CliContext } from './context.ts';

/** `holdfast check [FILE]`: opens no file but the config. */
export function checkCommand(args: ParsedArguments, { io, paths }: CliContext): Promise<number> {
  const [file = paths.config] = args.positionals;
  return check({ file, json: args.flag('json') }, { read: configBytes, write: io.out });
}
