import { type PostgresServer, runSql } from '../psql.ts';

/** What a dump does not carry over, or cannot read: told before anything is stopped. */
const OBSTACLES = `
SELECT format('tablespace %I: its files lie outside of the data; move what is in it to pg_default and drop it', spcname)
FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global');
SELECT format('prepared transaction %L of %I: commit it or roll it back', gid, database) FROM pg_prepared_xacts;
SELECT format('database %I takes no connections: allow them or drop it', datname)
FROM pg_database WHERE NOT datallowconn AND datname <> 'template0';
SELECT format('replication slot %I would be lost: drop it, and make it again afterwards', slot_name)
FROM pg_replication_slots WHERE NOT temporary AND slot_name NOT LIKE 'holdfast\\_%';
SELECT format('subscription %I would start again from nothing: drop it, and make it again afterwards', subname)
FROM pg_subscription;
`;

export async function obstaclesOf(server: PostgresServer): Promise<string[]> {
  return await runSql(server, 'postgres', OBSTACLES);
}
