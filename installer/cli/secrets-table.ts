import type { CommandSpec } from './command.ts';
import { config, host, json, yes } from './common-options.ts';

/** The verbs of secrets; part of the command table. */
export const secretsCommands: readonly CommandSpec[] = [
  {
    name: 'secrets list',
    summary: 'List secrets and what asks for them; exit code 3 when one is missing.',
    positionals: '[NAME]',
    maxPositionals: 1,
    options: {
      ...config,
      ...host,
      ...json,
      show: { type: 'boolean', description: 'Print the values too.' },
    },
    readOnly: true,
    example: 'holdfast secrets list',
    run: async (args, context) => (await import('./secrets.ts')).listSecrets(args, context),
  },
  {
    name: 'secrets set',
    summary: 'Store a secret, from standard input or typed without echo.',
    positionals: 'NAME',
    minPositionals: 1,
    options: { ...config, ...host },
    example: 'holdfast secrets set SMTP_PASSWORD < smtp-password.txt',
    run: async (args, context) => (await import('./secrets.ts')).setSecret(args, context),
  },
  {
    name: 'secrets generate',
    summary: 'Make random values for secrets that have none; replaces nothing.',
    positionals: '[NAME…]',
    maxPositionals: Number.POSITIVE_INFINITY,
    options: { ...config, ...host },
    example: 'holdfast secrets generate SESSION_KEY',
    run: async (args, context) => (await import('./secrets.ts')).generateSecrets(args, context),
  },
  {
    name: 'secrets rotate',
    summary: 'Replace a secret in its server, in the files and in what reads them.',
    positionals: 'NAME',
    minPositionals: 1,
    options: { ...config, ...host, ...yes },
    example: 'holdfast secrets rotate POSTGRES_ROLE_WEB_PASSWORD',
    run: async (args, context) => (await import('./rotate-secret.ts')).rotateSecret(args, context),
  },
];
