import type { CommandSpec } from './command.ts';
import { config, host, json, yes } from './common-options.ts';

/** The way of Postgres from one major version to another, and back. */
export const postgresCommands: readonly CommandSpec[] = [
  {
    name: 'postgres rehearse',
    summary: 'Try the upgrade of Postgres that the config asks for on a copy; nothing is stopped.',
    options: { ...config, ...host, ...json },
    example: 'holdfast postgres rehearse',
    run: async (args, context) => (await import('./postgres.ts')).postgresRehearse(args, context),
  },
  {
    name: 'postgres revert',
    summary: 'Go back to the cluster of before the last upgrade, without what was written since.',
    options: { ...config, ...host, ...json, ...yes },
    example: 'holdfast postgres revert',
    run: async (args, context) => (await import('./postgres.ts')).postgresRevert(args, context),
  },
];
