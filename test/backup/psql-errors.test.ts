import t from 'tap';
import { sqlError } from '../../installer/backup/psql.ts';
import { DockerEngine } from '../../installer/engine/docker.ts';

const engine = new DockerEngine();
t.teardown(() => engine.close());
const server = {
  engine,
  container: 'shop-postgres-1',
  superuser: 'postgres',
  applicationName: 'x',
};
const tables = Array.from({ length: 20_000 }, (_, index) => `public.orders_${index}`).join(', ');

t.test(
  'a dump that needs more locks than there are names the setting, not the tables',
  async (t) => {
    // As pg_dump 17 says it.
    const error = sqlError(
      server,
      1,
      `pg_dump: error: query failed: ERROR:  out of shared memory
HINT:  You might need to increase "max_locks_per_transaction".
pg_dump: detail: Query was: LOCK TABLE ${tables} IN ACCESS SHARE MODE`,
    );
    t.match(error, { code: 'backup/too-many-tables', hint: /max_locks_per_transaction: "2048"/ });
    t.ok(error.message.length < 1_000);
  },
);

t.test('a statement of a megabyte is told in part', async (t) => {
  const error = sqlError(server, 3, `ERROR:  no\nSTATEMENT:  SELECT FROM ${tables}`);
  t.match(error, { code: 'backup/sql', why: /^ERROR: {2}no\nSTATEMENT/ });
  t.ok(error.message.length < 2_000);
});

t.test('a psql that was ended with its container is told as a server that is down', async (t) => {
  for (const exitCode of [126, 137, 143]) {
    t.match(sqlError(server, exitCode, ''), { code: 'backup/postgres-down' }, `${exitCode}`);
  }
  t.match(sqlError(server, 127, 'psql: not found'), { code: 'backup/sql' });
});
