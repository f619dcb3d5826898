import type { CommandSpec } from './command.ts';
import { host, json } from './common-options.ts';

/** Keys with which another machine may deploy and do nothing else; part of the command table. */
export const deployKeyCommands: readonly CommandSpec[] = [
  {
    name: 'deploy-key add',
    summary: 'Let an SSH key deploy the services named, and nothing else.',
    positionals: 'NAME [PUBLIC-KEY-FILE]',
    minPositionals: 1,
    maxPositionals: 2,
    options: {
      ...host,
      services: {
        type: 'string',
        value: 'SERVICE,…',
        description: 'What it may deploy and roll back; required.',
      },
      images: {
        type: 'string',
        value: 'IMAGE,…',
        description:
          'Repositories that it may deploy, or beginnings that end in /; any when absent.',
      },
    },
    example: 'holdfast deploy-key add ci key.pub --services api --images ghcr.io/acme/api',
    run: async (args, context) => (await import('./deploy-key.ts')).addDeployKey(args, context),
  },
  {
    name: 'deploy-key list',
    summary: 'List the keys that may deploy.',
    options: { ...host, ...json },
    readOnly: true,
    example: 'holdfast deploy-key list',
    run: async (args, context) => (await import('./deploy-key.ts')).listDeployKeys(args, context),
  },
  {
    name: 'deploy-key remove',
    summary: 'Take the right to deploy away from a key.',
    positionals: 'NAME',
    minPositionals: 1,
    options: host,
    example: 'holdfast deploy-key remove ci',
    run: async (args, context) => (await import('./deploy-key.ts')).removeDeployKey(args, context),
  },
  {
    name: 'deploy-key serve',
    summary: 'What sshd runs for such a key: deploy, rollback and status, nothing else.',
    positionals: 'NAME',
    minPositionals: 1,
    options: {
      services: { type: 'string', value: 'SERVICE,…', description: 'As given to add.' },
      images: { type: 'string', value: 'IMAGE,…', description: 'As given to add.' },
    },
    example: 'holdfast deploy-key serve ci --services api',
    run: async (args, context) => (await import('./deploy-key-serve.ts')).serve(args, context),
  },
];
