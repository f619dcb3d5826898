import { z } from 'zod';
import {
  choice,
  cron,
  duration,
  flag,
  list,
  mapping,
  text,
  timeOfDay,
  wholeNumber,
} from '../../config/fields.ts';
import { name, secretName } from '../../config/fields-names.ts';
import { bucketName } from '../storage/section.ts';

const STORAGE_CLASSES = [
  'STANDARD',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
  'GLACIER',
  'DEEP_ARCHIVE',
] as const;

const storageClass = choice(STORAGE_CLASSES, { description: 'Storage class of the objects.' });

const objectLock = duration({
  description:
    'For so long nobody can change or remove a backup, not even the owner of the account: object lock of the store, in a bucket that has it on.',
  examples: ['30d'],
}).optional();

const source = z
  .string({ error: 'postgres, redis, appliance, volume:<name>, backup:<job> or an accessory' })
  .regex(/^(?:(?:volume|backup):)?[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/, {
    error: 'postgres, redis, appliance, volume:<name>, backup:<job> or an accessory',
  })
  .meta({
    description:
      'What is saved: `postgres`, `redis`, `appliance` (what a blank server is set up from), `volume:<name>`, the name of an accessory, or `backup:<job>` to copy.',
    examples: ['postgres'],
  });

const job = mapping(
  {
    name: name({ description: 'Name of the job.', examples: ['daily'] }),
    source,
    method: choice(['logical', 'physical', 'archive', 'copy'], {
      description: 'How it is saved.',
      defaultText: 'logical for databases and accessories, archive for files, copy for backups',
    }).optional(),
    cron: cron({ description: 'When, in the zone of `timezone`.', examples: ['0 2 * * *'] }),
    keepLocal: duration({
      description: 'Also keep a copy on this server for so long.',
      examples: ['3d'],
    }).optional(),
    keepRemote: duration({
      description: 'How long it is kept. The last verified backup always stays.',
    }).optional(),
    keep: mapping(
      {
        daily: wholeNumber(0, 3650, { description: 'Days of which one is kept.' }).default(0),
        weekly: wholeNumber(0, 520, { description: 'Weeks of which one is kept.' }).default(0),
        monthly: wholeNumber(0, 120, { description: 'Months of which one is kept.' }).default(0),
      },
      {
        description: 'Keep by calendar.',
        defaultText: '35 days, 8 weeks, 12 months when `keepRemote` is not set either',
      },
    ).optional(),
    provider: name({
      description: 'Provider, instead of `backups.provider`.',
      examples: ['s3'],
    }).optional(),
    storageClass: storageClass.optional(),
    objectLock,
    ping: secretName({
      description: 'Secret with a URL that is told of start, success and failure.',
      examples: ['BACKUP_PING_URL'],
    }).optional(),
  },
  { description: 'A job of the agent.' },
);

export const backupsSection = mapping(
  {
    provider: name({ description: 'Provider in `storage.providers`.' }).default('local'),
    bucket: bucketName
      .meta({
        description: 'Bucket at the provider; none for a directory.',
        examples: ['acme-backups'],
      })
      .optional(),
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$/, {
        error: 'a prefix of letters, digits, dots, slashes and hyphens',
      })
      .meta({
        description: 'Start of every object name.',
        examples: ['acme'],
        defaultText: 'the name of the project',
      })
      .optional(),
    storageClass: storageClass.optional(),
    objectLock,
    encryption: choice(['age', 'none'], {
      description: 'Encrypt before anything leaves.',
    }).prefault('age'),
    recipients: list(
      z
        .string({ error: 'an age public key, age1…' })
        .regex(/^age1[02-9ac-hj-np-z]{58}$/, { error: 'an age public key, age1…' })
        .meta({
          description: 'An age public key.',
          examples: ['age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p'],
        }),
      { description: 'Your recovery keys. Their identities stay off the server.' },
    ).default([]),
    window: mapping(
      {
        from: timeOfDay({ description: 'Start.', examples: ['01:00'] }),
        to: timeOfDay({ description: 'End.', examples: ['05:00'] }),
      },
      {
        description:
          'Backups, restore tests and drills that the schedule starts begin in this time of day only; one that falls due outside waits until it opens. What you start by hand runs at once.',
      },
    ).optional(),
    verify: mapping(
      {
        afterUpload: flag({ description: 'Read each backup back and compare.' }).default(true),
        restoreTest: cron({ description: 'When to restore into a throw-away database.' }).prefault(
          '0 6 * * 0',
        ),
        assertions: list(text({ description: 'SQL that must yield true.' }), {
          description: 'Checked after each restore test.',
          examples: [['select count(*) > 0 from users']],
        }).default([]),
      },
      { description: 'What proves a backup.' },
    ).prefault({}),
    drill: mapping(
      {
        every: choice(['weekly', 'monthly', 'quarterly', 'yearly'], { description: 'How often.' }),
      },
      { description: 'Rehearsals of a full recovery.' },
    ).optional(),
    jobs: list(job, {
      description: 'What is saved when.',
      defaultText: 'a logical backup of postgres at 02:00',
    }).optional(),
  },
  { description: 'Backups. Without this section: one a day to a directory on this server.' },
);

export type BackupsInput = z.output<typeof backupsSection>;
export type BackupJobInput = z.output<typeof job>;
