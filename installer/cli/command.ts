import type { CliContext } from './context.ts';

/** An option of a command: a switch, or one that takes a value. */
export interface OptionSpec {
  readonly type: 'boolean' | 'string';
  readonly short?: string;
  /** Name of the value in the help, such as `FILE`. */
  readonly value?: string;
  readonly description: string;
}

export interface ParsedArguments {
  readonly positionals: readonly string[];
  readonly flag: (name: string) => boolean;
  readonly value: (name: string) => string | undefined;
  /** The command line as it was typed, for a hint; with these options more. */
  readonly commandLine: (...options: readonly string[]) => string;
}

/** A line of the command table: enough for parsing, help, completion and the generated reference. */
export interface CommandSpec {
  /** One or two words, such as `backup run`. */
  readonly name: string;
  readonly summary: string;
  /** Positional arguments as shown in the help, such as `[ID]` or `SERVICE -- COMMAND…`. */
  readonly positionals?: string;
  readonly minPositionals?: number;
  readonly maxPositionals?: number;
  readonly options?: Readonly<Record<string, OptionSpec>>;
  /** It changes nothing: a signal ends it wherever it is. The others stop at their next safe point. */
  readonly readOnly?: true;
  /** A whole command line with a word on what it does. */
  readonly example: string;
  /** Exit code. The module behind it is loaded only when it runs. */
  readonly run: (args: ParsedArguments, context: CliContext) => Promise<number>;
}
