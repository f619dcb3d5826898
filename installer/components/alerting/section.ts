import type { z } from 'zod';
import { choice, list, mapping } from '../../config/fields.ts';
import { named, secretName } from '../../config/fields-names.ts';
import { mail } from '../../config/fields-network.ts';

const urlSecret = (what: string, example: string) =>
  secretName({ description: `Secret with the ${what}.`, examples: [example] }).optional();

const receiver = mapping(
  {
    email: list(mail({ description: 'A mail address.' }), { description: 'Mail addresses.' })
      .min(1, { error: 'a list with at least one mail address' })
      .optional(),
    slack: urlSecret('URL of a Slack webhook', 'SLACK_WEBHOOK_URL'),
    discord: urlSecret('URL of a Discord webhook', 'DISCORD_WEBHOOK_URL'),
    webhook: urlSecret('URL of any other webhook', 'ALERT_WEBHOOK_URL'),
    pagerduty: urlSecret('PagerDuty integration key', 'PAGERDUTY_KEY'),
    severities: list(choice(['info', 'warn', 'page', 'deploy'], { description: 'A severity.' }), {
      description: 'What it is told of.',
    })
      .min(1, { error: 'a list with at least one severity' })
      .default(['warn', 'page']),
  },
  { description: 'Somebody to tell, by one or more channels.' },
);

export const alertingSection = mapping(
  {
    receivers: named(receiver, { description: 'Who is told.' }).default({}),
    smtp: mapping(
      {
        urlSecret: secretName({
          description:
            'Secret with the mail server and the login: `smtp://user:password@mail.example.com:587` (STARTTLS) or `smtps://…:465`.',
          examples: ['SMTP_URL'],
        }).default('SMTP_URL'),
        from: mail({
          description: 'Sender. By default the login, where it is a mail address.',
        }).optional(),
      },
      { description: 'The mail server for receivers with `email`.' },
    ).prefault({}),
  },
  { description: 'Where alerts go.' },
).prefault({});

export type Alerting = z.output<typeof alertingSection>;
export type Receiver = z.output<typeof receiver>;
