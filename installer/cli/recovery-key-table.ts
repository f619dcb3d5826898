import type { CommandSpec } from './command.ts';
import { host, json } from './common-options.ts';

/** The keys that open backups without this server; part of the command table. */
export const recoveryKeyCommands: readonly CommandSpec[] = [
  {
    name: 'recovery-key make',
    summary: 'Make a recovery key, show it once, and have it proved that you keep it elsewhere.',
    example: 'holdfast recovery-key make',
    run: async (args, context) => (await import('./recovery-key.ts')).makeKey(args, context),
  },
  {
    name: 'recovery-key prove',
    summary: 'Prove that the secret half of a recovery key is in your hands, without bringing it.',
    positionals: '[PUBLIC-KEY]',
    maxPositionals: 1,
    example: 'holdfast recovery-key prove',
    run: async (args, context) => (await import('./recovery-key.ts')).proveKey(args, context),
  },
  {
    name: 'recovery-key list',
    summary: 'List the recovery keys that backups are encrypted to, and when each was proved.',
    options: { ...host, ...json },
    readOnly: true,
    example: 'holdfast recovery-key list',
    run: async (args, context) => (await import('./recovery-key.ts')).listKeys(args, context),
  },
];
