import type { CommandSpec } from './command.ts';
import { config, host, json, yes } from './common-options.ts';

export const agentCommands: readonly CommandSpec[] = [
  {
    name: 'update',
    summary: 'Take newer images, and go back where one does not become healthy.',
    options: {
      ...config,
      ...host,
      ...json,
      ...yes,
      check: { type: 'boolean', description: 'Only say what is newer.' },
      now: { type: 'boolean', description: 'Also outside the window of the config.' },
    },
    example: 'holdfast update --check',
    run: async (args, context) => (await import('./update.ts')).update(args, context),
  },
  {
    name: 'cloudflare refresh',
    summary: 'Ask Cloudflare for the networks of its proxies, and trust those.',
    options: { ...config, ...host },
    example: 'holdfast cloudflare refresh',
    run: async (args, context) =>
      (await import('./cloudflare.ts')).cloudflareRefresh(args, context),
  },
  {
    name: 'scale',
    summary: 'Run another number of replicas of a service, within the range of the config.',
    positionals: 'SERVICE N',
    minPositionals: 2,
    maxPositionals: 2,
    options: {
      ...config,
      ...host,
      ...json,
      reason: { type: 'string', value: 'TEXT', description: 'Why, for the audit log.' },
      wait: {
        type: 'string',
        value: 'SECONDS',
        description: 'How long to wait for another change of the server; 0 when absent.',
      },
    },
    example: 'holdfast scale web 3 --reason "sale starts at noon"',
    run: async (args, context) => (await import('./scale.ts')).scale(args, context),
  },
  {
    name: 'alerts list',
    summary: 'Show the alerts that fire, and receivers that could not be told.',
    options: json,
    readOnly: true,
    example: 'holdfast alerts list',
    run: async (args, context) => (await import('./alerts.ts')).alertsList(args, context),
  },
  {
    name: 'alerts test',
    summary: 'Send one message to each receiver and say which took it.',
    example: 'holdfast alerts test',
    run: async (args, context) => (await import('./alerts.ts')).alertsTest(args, context),
  },
  {
    name: 'alerts send',
    summary: 'Tell the receivers of alerts what they do not know yet; the agent runs it.',
    example: 'holdfast alerts send',
    run: async (args, context) => (await import('./alerts.ts')).alertsSend(args, context),
  },
  {
    name: 'agent status',
    summary: 'Show what the agent does, did and will do.',
    options: json,
    readOnly: true,
    example: 'holdfast agent status',
    run: async (args, context) => (await import('./agent.ts')).agentStatus(args, context),
  },
  {
    name: 'agent trigger',
    summary: 'Start a job of the agent now.',
    positionals: 'JOB',
    minPositionals: 1,
    maxPositionals: 1,
    example: 'holdfast agent trigger backup-daily',
    run: async (args, context) => (await import('./agent.ts')).agentTrigger(args, context),
  },
  {
    name: 'agent run',
    summary: 'Run the agent in the foreground, as the service does.',
    example: 'holdfast agent run',
    run: async (args, context) => (await import('./agent.ts')).agentRun(args, context),
  },
];
