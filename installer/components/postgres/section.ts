import { z } from 'zod';
import {
  choice,
  cron,
  duration,
  flag,
  list,
  mapping,
  size,
  wholeNumber,
} from '../../config/fields.ts';
import { name, sqlName } from '../../config/fields-names.ts';

const settingValue = z
  .union([z.string(), z.number(), z.boolean()], { error: 'text or a number' })
  .transform((value) => String(value))
  .refine((value) => value.length <= 1024 && !/[\p{Cc}]/u.test(value), {
    error: 'one line of text',
  })
  .meta({ description: 'Value of the setting.' });

/** What a server takes as the rate of a base backup (documentation of pg_basebackup, `--max-rate`). */
const SLOWEST = 32 * 1024;
const FASTEST = 1024 ** 3;

export const postgresSection = mapping(
  {
    version: choice(['15', '16', '17'], {
      description: 'Oldest major version that will do.',
      defaultText: 'what the distribution brings: 15 on Debian 12, 17 on Debian 13',
      examples: ['17'],
    }).optional(),
    databases: list(sqlName({ description: 'Name of a database.' }), {
      description:
        'Databases to make. The service of the same name uses it; where there is one alone, every service does that names no other at `database`.',
      examples: [['app']],
    }).default([]),
    owner: sqlName({
      description: 'Role that owns `databases`.',
      examples: ['app'],
      defaultText: 'the name of the project',
    }).optional(),
    maxConnections: wholeNumber(10, 5000, { description: 'Connections at most.' }).default(100),
    ssl: choice(['optional', 'required'], {
      description: 'Whether connections inside the stack must be encrypted.',
    }).prefault('optional'),
    audit: flag({ description: 'Log who changed what (pgaudit).' }).default(false),
    encryptedVolume: flag({ description: 'Keep the data on an encrypted volume.' }).default(false),
    storage: mapping(
      {
        size: size({ description: 'Size to plan with.', examples: ['20g'] }).optional(),
        max: size({ description: 'Size that it may grow to.', examples: ['100g'] }).optional(),
        growAt: wholeNumber(50, 99, { description: 'Grow when this full, in percent.' }).default(
          85,
        ),
      },
      { description: 'Disk of the database.' },
    ).optional(),
    replicas: list(
      mapping(
        {
          node: name({ description: 'Node of the standby.', examples: ['vps2'] }),
          mode: choice(['async', 'sync'], {
            description: 'Whether a commit waits for it.',
          }).prefault('async'),
          failover: choice(['manual', 'automatic'], { description: 'Who promotes it.' }).prefault(
            'manual',
          ),
        },
        { description: 'A streaming standby.' },
      ),
      { description: 'Streaming standbys on other nodes.' },
    ).default([]),
    readOnlyEndpoint: flag({ description: 'Give services a second URL for reads.' }).default(false),
    pitr: mapping(
      {
        enabled: flag({ description: 'Keep base backups and the WAL.' }).default(true),
        rpo: duration({ description: 'Most data that may be lost.' }).prefault('1m'),
        window: duration({ description: 'How far back one may go.' }).prefault('7d'),
        maxRate: size({
          description: 'Most that the server sends of a base backup, compressed, in a second.',
          examples: ['20m'],
          defaultText: 'no limit',
        })
          .refine((bytes) => bytes >= SLOWEST && bytes <= FASTEST, { error: 'from 32k to 1g' })
          .optional(),
      },
      {
        description: 'Point-in-time recovery.',
        defaultText: 'on where backups go to a bucket, else off',
      },
    ).optional(),
    snapshotBefore: list(choice(['migrate', 'apply', 'update'], { description: 'An event.' }), {
      description: 'Take a logical backup before these.',
    }).default(['migrate']),
    vacuum: mapping(
      {
        cron: cron({ description: 'When to vacuum and analyze.', examples: ['0 4 * * 0'] }),
        analyze: list(sqlName({ description: 'A table.', examples: ['orders'] }), {
          description: 'Only these tables; empty means all.',
        }).default([]),
      },
      { description: 'Maintenance beside autovacuum.' },
    ).optional(),
    settings: z
      .record(
        z.string().regex(/^[a-z_][a-z0-9_.]*$/, { error: 'the name of a Postgres setting' }),
        settingValue,
      )
      .meta({
        description: 'Settings of postgresql.conf, after our own tuning.',
        examples: [{ work_mem: '16MB' }],
      })
      .default({}),
  },
  { description: 'The PostgreSQL server. `uses: [postgres]` alone brings it with these defaults.' },
);

export type PostgresInput = z.output<typeof postgresSection>;
