import t, { type Test } from 'tap';
import { roleSecret } from '../../installer/components/postgres/names.ts';
import { passwordSql, psql, rolesProvision } from '../../installer/components/postgres/roles.ts';
import { needsRestart } from '../../installer/components/postgres/settings.ts';
import { Secret } from '../../installer/model/secret.ts';
import { generated } from '../support/component-input.ts';
import { type DataStack, dataStack } from './support/data-stack.ts';
import { docker, until } from './support/docker.ts';
import { olderPostgres } from './support/platform-images.ts';

const APP = 'image: "IMAGE", port: 3000, args: [node, -e, "setInterval(() => {}, 1e6)"]';
const BODY = `
services:
  web: { ${APP}, uses: [postgres] }
  shop: { ${APP}, uses: [postgres] }
  alone: { ${APP} }
`;
const roles = (stack: { readonly desired: { readonly provisions: readonly { id: string }[] } }) =>
  stack.desired.provisions.find(({ id }) => id === 'postgres:roles') as never;

/** Rows of a query as the superuser, columns joined by `|`. */
async function ask(stack: DataStack, sql: string, database = 'postgres'): Promise<string> {
  const { code, stdout, stderr } = await stack.exec('postgres', psql(database), {
    user: 'postgres',
    stdin: sql,
  });
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

/** The same as a service would, over its network. */
function askAs(stack: DataStack, role: string, password: string, sql: string, database = role) {
  return stack.client(
    'postgres',
    'data-web',
    ['psql', '-X', '-At', '-h', 'postgres', '-U', role, '-c', sql],
    [`PGPASSWORD=${password}`, `PGDATABASE=${database}`],
  );
}

const passwordOf = (role: string) => generated(roleSecret(role)).reveal();

const servers = { 17: {}, 15: { postgres: await olderPostgres() } };

for (const [major, images] of Object.entries(servers)) {
  t.test(`Postgres ${major} as rendered`, (t) => checkServer(t, major, images));
}

async function checkServer(
  t: Test,
  major: string,
  images: Readonly<Record<string, string>>,
): Promise<void> {
  const stack = await dataStack(t, BODY, {}, images);
  await stack.up('postgres');
  const first = await stack.provision(roles(stack));
  t.equal(first.code, 0, first.stderr);

  await t.test('runs with checksums, UTF-8 and C.UTF-8, and takes every setting', async (t) => {
    t.match(await ask(stack, 'SHOW server_version'), new RegExp(`^${major}[.]`));
    t.equal(await ask(stack, 'SHOW data_checksums'), 'on');
    const encoding =
      "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = 'web'";
    t.equal(await ask(stack, encoding), 'UTF8|C.UTF-8');
    t.equal(
      await ask(
        stack,
        'SELECT name, error FROM pg_file_settings WHERE error IS NOT NULL OR NOT applied',
      ),
      '',
    );
    t.equal(await ask(stack, 'SELECT error FROM pg_hba_file_rules WHERE error IS NOT NULL'), '');
    t.equal(await ask(stack, 'SHOW log_min_duration_statement'), '100ms');
  });

  await t.test('knows the same settings that need a restart as our table', async (t) => {
    const all = await ask(
      stack,
      "SELECT name, context FROM pg_settings WHERE context <> 'internal' AND name NOT LIKE '%.%'",
    );
    for (const line of all.split('\n')) {
      const [name = '', context] = line.split('|');
      // What may not be set at all counts as needing a restart.
      if (context === 'postmaster') t.equal(needsRestart(name), true, name);
      else if (needsRestart(name))
        t.match(
          name,
          /^(?:archive_|restore_|recovery_|primary_|ssl|password_|log_dest|syslog_|zero_|ignore_|allow_sys|standard_)/,
        );
    }
  });

  await t.test(
    'stores SCRAM verifiers that clients accept, and refuses other passwords',
    async (t) => {
      const stored = await ask(
        stack,
        "SELECT rolname FROM pg_authid WHERE rolpassword LIKE 'SCRAM-SHA-256$4096:%' ORDER BY 1",
      );
      t.strictSame(stored.split('\n'), ['holdfast_monitor', 'postgres', 'shop', 'web']);
      const good = await askAs(stack, 'web', passwordOf('web'), 'SELECT current_user');
      t.equal(good.stdout.trim(), 'web', good.stderr);
      const bad = await askAs(stack, 'web', passwordOf('shop'), 'SELECT 1');
      t.match(bad.stderr, /password authentication failed/);
    },
  );

  await t.test('gives an app its own database and nothing else', async (t) => {
    const rights = await ask(
      stack,
      "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles WHERE rolname IN ('web', 'shop', 'holdfast_monitor')",
    );
    for (const line of rights.split('\n')) t.match(line, /^\w+\|f\|f\|f\|f\|f$/);
    const made = await askAs(
      stack,
      'web',
      passwordOf('web'),
      'CREATE TABLE notes (id int); CREATE SCHEMA extra; SELECT 1',
    );
    t.equal(made.code, 0, made.stderr);
    for (const database of ['shop', 'postgres', 'template1']) {
      const other = await askAs(stack, 'web', passwordOf('web'), 'SELECT 1', database);
      t.match(other.stderr, /permission denied for database|does not have CONNECT/, database);
    }
    const program = await askAs(stack, 'web', passwordOf('web'), "COPY notes FROM PROGRAM 'id'");
    t.match(program.stderr, /permission denied|must be superuser/);
  });

  await t.test('never lets the superuser in over the network', async (t) => {
    const password = generated('POSTGRES_SUPERUSER_PASSWORD').reveal();
    const { code, stderr } = await askAs(stack, 'postgres', password, 'SELECT 1');
    t.not(code, 0);
    t.match(stderr, /pg_hba.conf rejects/);
  });

  await t.test('lets the exporter see figures of all databases', async (t) => {
    const password = generated('POSTGRES_MONITOR_PASSWORD').reveal();
    const seen = await askAs(
      stack,
      'holdfast_monitor',
      password,
      'SELECT count(*) > 0 FROM pg_stat_statements',
      'postgres',
    );
    t.equal(seen.stdout.trim(), 't', seen.stderr);
    const notes = await askAs(stack, 'holdfast_monitor', password, 'SELECT * FROM notes', 'web');
    t.match(notes.stderr, /permission denied/);
  });

  await t.test(
    'is out of reach for a service that does not use it, and has no way out',
    async (t) => {
      const reach = await stack.client('postgres', 'app-alone', [
        'pg_isready',
        '-h',
        'postgres',
        '-t',
        '2',
      ]);
      t.match(reach.stdout, /no response/);
      const address = await docker(
        'inspect',
        '-f',
        `{{(index .NetworkSettings.Networks "${stack.project}_data-web").IPAddress}}`,
        `${stack.project}-postgres-1`,
      );
      const direct = await stack.client('postgres', 'app-alone', [
        'pg_isready',
        '-h',
        address,
        '-t',
        '2',
      ]);
      t.match(direct.stdout, /no response/);
      for (const network of ['data-web', 'data-shop', 'exporter-postgres']) {
        const name = `${stack.project}_${network}`;
        t.equal(await docker('network', 'inspect', '-f', '{{.Internal}}', name), 'true', name);
      }
      const ports = await docker(
        'inspect',
        '-f',
        '{{json .HostConfig.PortBindings}}',
        `${stack.project}-postgres-1`,
      );
      t.match(ports, /^(?:null|\{\})$/);
    },
  );

  await t.test('logs slow statements, and no password or verifier', async (t) => {
    await ask(stack, 'SELECT pg_sleep(0.15) AS slow_one');
    await stack.provision(roles(stack));
    const slow = /duration: \d{3,}\.\d+ ms {2}statement: SELECT pg_sleep\(0\.15\) AS slow_one/;
    await until('the slow one in the log', 10, async () => slow.test(await stack.logs('postgres')));
    const log = await stack.logs('postgres');
    t.notMatch(log, /SCRAM-SHA-256\$/);
    t.notOk(log.includes(passwordOf('web')));
    const kept = await ask(
      stack,
      "SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%SCRAM%' AND query LIKE '%ALTER ROLE%'",
    );
    t.equal(kept, '0');
  });

  await t.test('takes the same provision again without a change', async (t) => {
    const state = () =>
      ask(
        stack,
        'SELECT oid, rolname, rolpassword FROM pg_authid ORDER BY 1; SELECT oid, datname, datdba, datacl FROM pg_database ORDER BY 1',
      );
    const before = await state();
    const again = await stack.provision(roles(stack));
    t.equal(again.code, 0, again.stderr);
    t.equal(again.stdout + again.stderr, '');
    t.equal(await state(), before);
  });

  await t.test('changes a password in place; sessions that are open stay open', async (t) => {
    await ask(stack, passwordSql(stack.project, 'shop', new Secret('brand new')));
    t.equal((await askAs(stack, 'shop', 'brand new', 'SELECT 1')).stdout.trim(), '1');
    t.match(
      (await askAs(stack, 'shop', passwordOf('shop'), 'SELECT 1')).stderr,
      /authentication failed/,
    );
    await stack.provision(roles(stack));
    t.equal((await askAs(stack, 'shop', passwordOf('shop'), 'SELECT 1')).stdout.trim(), '1');
  });

  await t.test('reloads what can be reloaded, and refuses a broken file before that', async (t) => {
    const changed = await stack.change(`postgres: { settings: { work_mem: 7MB } }\n${BODY}`);
    const reload = changed.reloads['postgres'];
    t.equal((await stack.exec('postgres', reload?.test ?? [])).code, 0);
    t.equal((await stack.exec('postgres', reload?.argv ?? [])).code, 0);
    // The server is only told: it reads its files when it comes to it.
    await until('it is taken up', 10, async () => (await ask(stack, 'SHOW work_mem')) === '7MB');
    await stack.change(`postgres: { settings: { work_mem: banana } }\n${BODY}`);
    const broken = await stack.exec('postgres', reload?.test ?? []);
    t.equal(broken.code, 1);
    t.match(broken.stderr, /invalid value for parameter "work_mem": "banana"/);
    await stack.change(BODY);
  });

  await t.test(
    'moves tables to another owner, and retires a role that is gone from the config',
    async (t) => {
      const moved = rolesProvision({
        project: stack.project,
        roles: [{ name: 'boss', password: new Secret('boss password') }],
        databases: [
          { name: 'shop', owner: 'boss' },
          { name: 'web', owner: 'boss' },
        ],
        monitorPassword: generated('POSTGRES_MONITOR_PASSWORD'),
        superuserPassword: generated('POSTGRES_SUPERUSER_PASSWORD'),
      });
      // What the role of a product may do in its own database.
      await ask(
        stack,
        `SET SESSION AUTHORIZATION web;
        CREATE FUNCTION public.format(text, text, text) RETURNS text LANGUAGE plpgsql AS
          $f$ BEGIN RETURN 'ALTER ROLE web SUPERUSER'; END $f$;
        ALTER DATABASE web SET default_transaction_read_only = on;
        ALTER DATABASE web SET search_path = public;`,
        'web',
      );
      const done = await stack.provision(moved);
      t.equal(done.code, 0, done.stderr);
      t.equal(
        await ask(stack, "SELECT rolsuper FROM pg_roles WHERE rolname = 'web'"),
        'f',
        'a superuser calls no function of theirs',
      );
      await ask(stack, 'ALTER DATABASE web RESET ALL');
      const insert = await askAs(
        stack,
        'boss',
        'boss password',
        'INSERT INTO notes VALUES (1)',
        'web',
      );
      t.equal(insert.stdout.trim(), 'INSERT 0 1', insert.stderr);
      t.match(
        (await askAs(stack, 'web', passwordOf('web'), 'SELECT 1', 'web')).stderr,
        /not permitted to log in/,
      );
      t.equal(
        await ask(
          stack,
          "SELECT count(*) FROM pg_database WHERE datname IN ('web', 'shop') AND pg_get_userbyid(datdba) = 'boss'",
        ),
        '2',
      );

      const back = await stack.provision(roles(stack));
      t.equal(back.code, 0, back.stderr);
      t.equal(
        (await askAs(stack, 'web', passwordOf('web'), 'SELECT count(*) FROM notes')).stdout.trim(),
        '1',
      );
    },
  );

  await t.test('takes a database whose owner dropped the schema public', async (t) => {
    const dropped = await askAs(
      stack,
      'shop',
      passwordOf('shop'),
      'DROP SCHEMA public CASCADE; CREATE SCHEMA app; ALTER DATABASE shop SET search_path = app',
    );
    t.equal(dropped.code, 0, dropped.stderr);
    const done = await stack.provision(roles(stack));
    t.equal(done.code, 0, done.stderr);
    const schemas =
      "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'";
    t.equal(await ask(stack, schemas, 'shop'), 'app', 'nothing of ours comes into it');
  });

  await t.test('takes names of any kind for names', async (t) => {
    const name = `we"ird'; \\q :x $1 \${y} dbname=template0 é`;
    const hostile = rolesProvision({
      project: stack.project,
      roles: [{ name, password: new Secret("pass'word") }],
      databases: [{ name, owner: name }],
      monitorPassword: generated('POSTGRES_MONITOR_PASSWORD'),
      superuserPassword: generated('POSTGRES_SUPERUSER_PASSWORD'),
    });
    for (const _ of [1, 2]) {
      const { code, stderr } = await stack.provision(hostile);
      t.equal(code, 0, stderr);
    }
    const owners = await ask(
      stack,
      "SELECT datname = pg_get_userbyid(datdba) FROM pg_database WHERE datname LIKE 'we\"%'",
    );
    t.equal(owners, 't');
    t.equal((await askAs(stack, name, "pass'word", 'SELECT 1')).stdout.trim(), '1');
  });
}
