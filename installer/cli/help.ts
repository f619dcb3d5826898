import type { CommandSpec, OptionSpec } from './command.ts';
import { COMMON_OPTIONS } from './parse.ts';

export function overviewHelp(table: readonly CommandSpec[], version: string): string {
  const width = Math.max(...table.map(({ name }) => name.length));
  const lines = table.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return [
    `holdfast ${version}: one config.yaml in, a whole production platform out.`,
    '',
    'Usage: holdfast COMMAND [OPTIONS]',
    '',
    ...lines,
    '',
    'holdfast COMMAND --help shows the options and an example.',
    '',
  ].join('\n');
}

export function commandHelp(command: CommandSpec): string {
  const options = Object.entries({ ...command.options, ...COMMON_OPTIONS });
  const heads = options.map(([name, option]) => optionHead(name, option));
  const width = Math.max(...heads.map((head) => head.length));
  const usage = ['holdfast', command.name, '[OPTIONS]', command.positionals ?? ''].join(' ').trim();
  return [
    command.summary,
    '',
    `Usage: ${usage}`,
    '',
    'Options:',
    ...options.map(
      ([, { description }], index) => `  ${heads[index]?.padEnd(width)}  ${description}`,
    ),
    '',
    'Example:',
    `  ${command.example}`,
    '',
  ].join('\n');
}

export function optionHead(name: string, { short, value, type }: OptionSpec): string {
  const long = type === 'string' ? `--${name} ${value ?? 'VALUE'}` : `--${name}`;
  return short === undefined ? long : `-${short}, ${long}`;
}
