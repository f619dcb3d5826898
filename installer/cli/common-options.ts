import type { OptionSpec } from './command.ts';

/** Options that several commands share, each under its own name. */
export const config: Readonly<Record<string, OptionSpec>> = {
  config: {
    type: 'string',
    short: 'c',
    value: 'FILE',
    description: 'The config file; /etc/holdfast/config.yaml when absent.',
  },
};
export const json: Readonly<Record<string, OptionSpec>> = {
  json: { type: 'boolean', description: 'Answer as JSON, with a version number.' },
};
export const host: Readonly<Record<string, OptionSpec>> = {
  host: {
    type: 'string',
    value: 'USER@HOST',
    description: 'Another machine, over SSH; this one when absent.',
  },
};
export const yes: Readonly<Record<string, OptionSpec>> = {
  yes: { type: 'boolean', short: 'y', description: 'Do not ask.' },
};
