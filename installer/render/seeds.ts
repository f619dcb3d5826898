import { createHash } from 'node:crypto';
import type { Provision, Seed } from '../model/contribution.ts';

/**
 * A seed file as a step that runs once: after the service's migration, as the owner of the database.
 * The database itself remembers it, so that a restored database is not seeded again.
 */
export function seedProvision(seed: Seed, text: string): Provision {
  const { service, database, role } = seed;
  return {
    id: `seed:${service}`,
    service: 'postgres',
    after: service,
    user: 'postgres',
    argv: [
      'psql',
      '--no-psqlrc',
      '--quiet',
      '--username=postgres',
      `--dbname=${database}`,
      '--set=ON_ERROR_STOP=1',
      '--single-transaction',
      '--file=-',
    ],
    stdin: seedScript(service, role, text),
    digest: createHash('sha256').update(`${service} ${database} ${role}`).digest('hex'),
    summary: `${seed.file} into ${database}, once`,
  };
}

function seedScript(service: string, role: string, text: string): string {
  const name = `'${service.replaceAll("'", "''")}'`;
  return [
    'CREATE SCHEMA IF NOT EXISTS holdfast;',
    'CREATE TABLE IF NOT EXISTS holdfast.seed (service text PRIMARY KEY, ran_at timestamptz NOT NULL DEFAULT now());',
    `SELECT NOT EXISTS (SELECT FROM holdfast.seed WHERE service = ${name}) AS due \\gset`,
    '\\if :due',
    `SET ROLE "${role.replaceAll('"', '""')}";`,
    text,
    'RESET ROLE;',
    `INSERT INTO holdfast.seed (service) VALUES (${name});`,
    '\\endif',
    '',
  ].join('\n');
}
