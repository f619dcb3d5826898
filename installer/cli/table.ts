import { agentCommands } from './agent-table.ts';
import { backupCommands } from './backup-table.ts';
import type { CommandSpec } from './command.ts';
import { config, host, json, yes } from './common-options.ts';
import { deployKeyCommands } from './deploy-key-table.ts';
import { postgresCommands } from './postgres-table.ts';
import { recoveryKeyCommands } from './recovery-key-table.ts';
import { secretsCommands } from './secrets-table.ts';

const wait = {
  wait: { type: 'string', value: 'SECONDS', description: 'Wait for another change to end.' },
} as const;

/** Every command. Its module is loaded only when it runs, so that a plain one starts at once. */
export const commandTable: readonly CommandSpec[] = [
  {
    name: 'init',
    summary: 'Ask a few questions and write a small commented config.',
    positionals: '[FILE]',
    maxPositionals: 1,
    options: {
      domain: { type: 'string', value: 'NAME', description: 'Domain of the product.' },
      contact: { type: 'string', value: 'MAIL', description: 'Mail address for alarms.' },
      image: {
        type: 'string',
        value: 'IMAGE',
        description: 'Image of the app, or a folder with a Dockerfile.',
      },
      port: { type: 'string', value: 'PORT', description: 'Port that the app listens on.' },
      health: {
        type: 'string',
        value: 'PATH',
        description: 'Path that answers 200 when the app is well.',
      },
      uses: { type: 'string', value: 'WHAT', description: 'postgres, redis, both or none.' },
      defaults: { type: 'boolean', description: 'Ask nothing: defaults for what is not given.' },
    },
    example: 'holdfast init --domain app.example.com --contact ops@example.com',
    run: async (args, context) => (await import('./init.ts')).init(args, context),
  },
  {
    name: 'check',
    summary: 'Check a config: every problem at once, nothing changed.',
    positionals: '[FILE]',
    maxPositionals: 1,
    options: json,
    readOnly: true,
    example: 'holdfast check config.yaml',
    run: async (args, context) => (await import('./check-command.ts')).checkCommand(args, context),
  },
  {
    name: 'plan',
    summary: 'Show what apply would do; exit code 10 when it would do something, or would refuse.',
    options: {
      ...config,
      ...host,
      ...json,
      adopt: { type: 'boolean', description: 'Plan to replace files that somebody else changed.' },
    },
    readOnly: true,
    example: 'holdfast plan',
    run: async (args, context) => (await import('./plan.ts')).plan(args, context),
  },
  {
    name: 'apply',
    summary: 'Make the server what the config says.',
    options: {
      ...config,
      ...host,
      ...json,
      ...yes,
      adopt: { type: 'boolean', description: 'Replace files that somebody else changed.' },
      wait: { type: 'string', value: 'SECONDS', description: 'Wait for another apply to end.' },
      'refresh-images': { type: 'boolean', description: 'Decide versions and digests anew.' },
    },
    example: 'holdfast apply --yes',
    run: async (args, context) => (await import('./apply.ts')).apply(args, context),
  },
  {
    name: 'deploy',
    summary: 'Put another image of a service into service, without losing a request.',
    positionals: 'SERVICE IMAGE',
    minPositionals: 2,
    maxPositionals: 2,
    options: { ...config, ...host, ...json, ...yes, ...wait },
    example: 'holdfast deploy api ghcr.io/acme/api:1.4.2',
    run: async (args, context) => (await import('./deploy.ts')).deploy(args, context),
  },
  {
    name: 'rollback',
    summary: 'Let the release of a service or site that served before serve again.',
    positionals: 'NAME [IMAGE]',
    minPositionals: 1,
    maxPositionals: 2,
    options: {
      ...config,
      ...host,
      ...json,
      ...yes,
      ...wait,
      list: { type: 'boolean', description: 'Show the releases of a service that there are.' },
    },
    example: 'holdfast rollback api',
    run: async (args, context) => (await import('./deploy.ts')).rollback(args, context),
  },
  ...deployKeyCommands,
  {
    name: 'status',
    summary: 'Show how everything is, on one screen; exit code 11 when something is wrong.',
    options: { ...host, ...json },
    readOnly: true,
    example: 'holdfast status',
    run: async (args, context) => (await import('./status.ts')).status(args, context),
  },
  {
    name: 'logs',
    summary: 'Show the last lines of a service.',
    positionals: 'SERVICE',
    minPositionals: 1,
    options: {
      ...host,
      tail: { type: 'string', value: 'LINES', description: 'How many lines; 100 when absent.' },
      follow: { type: 'boolean', short: 'f', description: 'Go on with what comes.' },
    },
    example: 'holdfast logs web --tail 50',
    run: async (args, context) => (await import('./logs.ts')).logs(args, context),
  },
  {
    name: 'exec',
    summary: 'Run a command in a running container of a service.',
    positionals: 'SERVICE -- COMMAND…',
    minPositionals: 2,
    maxPositionals: Number.POSITIVE_INFINITY,
    example: 'holdfast exec web -- node --version',
    run: async (args, context) => (await import('./exec.ts')).exec(args, context),
  },
  {
    name: 'psql',
    summary: 'Open psql as the superuser, over the server’s own socket.',
    positionals: '[DATABASE]',
    maxPositionals: 1,
    example: 'holdfast psql web',
    run: async (args, context) => (await import('./exec.ts')).psql(args, context),
  },
  {
    name: 'doctor',
    summary: 'Check the machine under the stack and say what to do about each finding.',
    options: { ...host, ...json },
    readOnly: true,
    example: 'holdfast doctor',
    run: async (args, context) => (await import('./doctor.ts')).doctor(args, context),
  },
  ...backupCommands,
  ...recoveryKeyCommands,
  ...postgresCommands,
  ...secretsCommands,
  ...agentCommands,
  {
    name: 'volumes list',
    summary: 'List the volumes of the project and who uses them.',
    options: json,
    readOnly: true,
    example: 'holdfast volumes list',
    run: async (args, context) => (await import('./volumes.ts')).volumesList(args, context),
  },
  {
    name: 'volumes prune',
    summary: 'Remove volumes that no service uses, with their data.',
    options: yes,
    example: 'holdfast volumes prune',
    run: async (args, context) => (await import('./volumes.ts')).volumesPrune(args, context),
  },
  {
    name: 'certificates renew',
    summary: 'Get and renew what is due of the certificates; the agent does so every day.',
    options: {
      urgent: {
        type: 'boolean',
        description: 'Only what is missing, failed or near its end; the agent does so every hour.',
      },
      now: {
        type: 'boolean',
        description: 'Ask at once after a failure, within what the authority allows.',
      },
    },
    example: 'holdfast certificates renew',
    run: async (args, context) =>
      (await import('./certificates.ts')).certificatesRenew(args, context),
  },
  {
    name: 'buckets set',
    summary:
      'Set privacy, versioning, encryption and lifecycle of the buckets at their providers; the agent does so every day.',
    options: {
      'dry-run': { type: 'boolean', description: 'Say what is missing and set nothing.' },
      ...json,
    },
    example: 'holdfast buckets set --dry-run',
    run: async (args, context) => (await import('./buckets.ts')).bucketsSet(args, context),
  },
  {
    name: 'buckets copy',
    summary:
      'Copy what other providers lack of the buckets with replicateTo; the agent does so every day.',
    options: json,
    example: 'holdfast buckets copy',
    run: async (args, context) => (await import('./buckets.ts')).bucketsCopy(args, context),
  },
  {
    name: 'maintenance on',
    summary: 'Answer 503 with a page, at once and without a reload; probes and certificates go on.',
    options: {
      ...host,
      service: { type: 'string', value: 'NAME', description: 'Only this service.' },
      message: { type: 'string', value: 'TEXT', description: 'What the page says.' },
      'allow-from': {
        type: 'string',
        value: 'NETWORKS',
        description: 'Who sees the product all the same: addresses or small networks, with commas.',
      },
    },
    example: 'holdfast maintenance on --message "Back at 18:00" --allow-from 198.51.100.7',
    run: async (args, context) => (await import('./maintenance.ts')).maintenanceOn(args, context),
  },
  {
    name: 'maintenance off',
    summary: 'End the maintenance of one service or of everything.',
    options: {
      ...host,
      service: { type: 'string', value: 'NAME', description: 'Only this service.' },
    },
    example: 'holdfast maintenance off',
    run: async (args, context) => (await import('./maintenance.ts')).maintenanceOff(args, context),
  },
  {
    name: 'cache purge',
    summary: 'Forget what an edge cache keeps, of one host or of all.',
    positionals: '[HOST]',
    maxPositionals: 1,
    options: host,
    example: 'holdfast cache purge cdn.example.com',
    run: async (args, context) => (await import('./cache.ts')).cachePurge(args, context),
  },
  {
    name: 'unlock',
    summary: 'Show who changes this server; --force takes the lock away from a run that is gone.',
    options: { ...host, force: { type: 'boolean', description: 'Take the lock away.' } },
    example: 'holdfast unlock --force',
    run: async (args, context) => (await import('./unlock.ts')).unlock(args, context),
  },
  {
    name: 'uninstall',
    summary: 'Take the stack down and keep its data; --purge removes that too.',
    options: {
      ...yes,
      purge: {
        type: 'boolean',
        description: 'Remove volumes, backups on this machine, secrets, config and program too.',
      },
    },
    example: 'holdfast uninstall',
    run: async (args, context) => (await import('./uninstall.ts')).uninstall(args, context),
  },
  {
    name: 'completion',
    summary: 'Print a completion script for bash.',
    positionals: '[bash]',
    maxPositionals: 1,
    readOnly: true,
    example: 'holdfast completion > /etc/bash_completion.d/holdfast',
    run: async ({ positionals: [shell] }, context) => {
      const { completionFor } = await import('./completion.ts');
      context.io.out(completionFor(shell, commandTable));
      return 0;
    },
  },
];
