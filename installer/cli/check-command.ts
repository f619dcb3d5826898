import { readFile } from 'node:fs/promises';
import { check } from './check.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';

/** `holdfast check [FILE]`: opens no file but the config. */
export function checkCommand(args: ParsedArguments, { io, paths }: CliContext): Promise<number> {
  const [file = paths.config] = args.positionals;
  return check({ file, json: args.flag('json') }, { read: readIfThere, write: io.out });
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
