import type { CommandSpec } from './command.ts';
import { config, json, yes } from './common-options.ts';

/** The verbs of backup and restore; part of the command table. They run on the server itself. */
export const backupCommands: readonly CommandSpec[] = [
  {
    name: 'backup run',
    summary: 'Make a backup of every job, or of some, and read it back.',
    positionals: '[JOB…]',
    maxPositionals: Number.POSITIVE_INFINITY,
    options: json,
    example: 'holdfast backup run daily',
    run: async (args, context) => (await import('./backup.ts')).backupRun(args, context),
  },
  {
    name: 'backup list',
    summary: 'List the backups in the stores and the copies on this server, newest first.',
    options: json,
    readOnly: true,
    example: 'holdfast backup list',
    run: async (args, context) => (await import('./backup.ts')).backupList(args, context),
  },
  {
    name: 'backup verify',
    summary:
      'Read a backup, and its copy here, byte for byte; without an id the newest of each job.',
    positionals: '[ID]',
    maxPositionals: 1,
    options: json,
    example: 'holdfast backup verify',
    run: async (args, context) => (await import('./backup.ts')).backupVerify(args, context),
  },
  {
    name: 'backup take-over',
    summary:
      'Let this server store backups again where another one took over, or let those of a lost one expire.',
    options: yes,
    example: 'holdfast backup take-over',
    run: async (args, context) => (await import('./take-over.ts')).backupTakeOver(args, context),
  },
  {
    name: 'backup restore-test',
    summary:
      'Restore the newest dump, and the newest point in time, into a throw-away Postgres and check it.',
    options: json,
    example: 'holdfast backup restore-test',
    run: async (args, context) => (await import('./backup.ts')).backupRestoreTest(args, context),
  },
  {
    name: 'backup drill',
    summary:
      'Rehearse the loss of this server: the product on recovered data, in a stack of its own that reaches nothing.',
    options: {
      ...json,
      keep: {
        type: 'boolean',
        description: 'Leave the recovered product standing, for a look, until the next drill.',
      },
      remove: {
        type: 'boolean',
        description: 'Only remove what a kept or a killed one left.',
      },
    },
    example: 'holdfast backup drill',
    run: async (args, context) => (await import('./drill.ts')).backupDrill(args, context),
  },
  {
    name: 'backup ship-wal',
    summary: 'Take WAL to the store while there is some; the agent runs it.',
    options: {},
    example: 'holdfast backup ship-wal',
    run: async (args, context) => (await import('./ship-wal.ts')).backupShipWal(args, context),
  },
  {
    name: 'report write',
    summary:
      'Write a page on what was proved this month: backups, restore tests, drills, RTO and RPO.',
    options: {
      ...json,
      'last-month': {
        type: 'boolean',
        description: 'Of the month that is over, once; the agent does it on the first.',
      },
    },
    example: 'holdfast report write',
    run: async (args, context) => (await import('./report.ts')).reportWrite(args, context),
  },
  {
    name: 'report verify',
    summary: 'Say whether a report was changed after it was written.',
    options: json,
    readOnly: true,
    example: 'holdfast report verify',
    run: async (args, context) => (await import('./report.ts')).reportVerify(args, context),
  },
  {
    name: 'restore',
    summary:
      'Restore a backup, or Postgres to a point in time, beside the live data, check it, and swap; the old stays.',
    positionals: '[ID]',
    maxPositionals: 1,
    options: {
      ...json,
      ...yes,
      ...config,
      to: {
        type: 'string',
        value: 'TIME',
        description:
          'Bring the whole of Postgres to this moment; with a zone, or in the zone of the config.',
      },
      'to-lsn': {
        type: 'string',
        value: 'LSN',
        description: 'Bring it to this position of the WAL.',
      },
      'to-name': {
        type: 'string',
        value: 'NAME',
        description: 'Bring it to a restore point of this name.',
      },
      latest: {
        type: 'boolean',
        description:
          'Bring it to the end of the WAL; with --from PLACE instead of the newest dump.',
      },
      'dry-run': {
        type: 'boolean',
        description: 'Only name the objects that a restore to a point in time would read.',
      },
      into: {
        type: 'string',
        value: 'NAME',
        description: 'Restore as a database of this name and leave the live one alone.',
      },
      database: {
        type: 'string',
        value: 'NAME',
        description: 'One database of the backup; all when absent.',
      },
      job: {
        type: 'string',
        value: 'JOB',
        description: 'The newest verified backup of this job, when no id is given.',
      },
      from: {
        type: 'string',
        value: 'PLACE|SERVER',
        description:
          's3://BUCKET/PREFIX or a folder: set this blank server up from the recovery kit and the backups there. A name: without an id, of that server, where several wrote to one place.',
      },
      endpoint: {
        type: 'string',
        value: 'URL',
        description: 'With --from s3://…: where the bucket answers; AWS in --region when absent.',
      },
      region: {
        type: 'string',
        value: 'REGION',
        description: 'With --from s3://…: region of the bucket; us-east-1 when absent.',
      },
      'access-key-id-file': {
        type: 'string',
        value: 'FILE',
        description: 'With --from s3://…: file with the key id; asked for when absent.',
      },
      'secret-access-key-file': {
        type: 'string',
        value: 'FILE',
        description: 'With --from s3://…: file with the secret key; asked for when absent.',
      },
      project: {
        type: 'string',
        value: 'NAME',
        description: 'With --from PLACE: which one, where kits of several projects lie there.',
      },
      'take-over': {
        type: 'boolean',
        description: 'With --from s3://…: also when another server wrote there a moment ago.',
      },
      replace: {
        type: 'boolean',
        description: 'With --from PLACE: also on a server that is in use.',
      },
      identity: {
        type: 'string',
        value: 'FILE',
        description: 'Your recovery key; the key on this server when absent.',
      },
    },
    example: 'holdfast restore 20261121T020000Z-3f9a1c --into shop_check',
    run: async (args, context) => (await import('./restore.ts')).restore(args, context),
  },
];
