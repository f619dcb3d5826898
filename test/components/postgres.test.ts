import t from 'tap';
import { postgres } from '../../installer/components/postgres/component.ts';
import { databaseOf } from '../../installer/components/postgres/databases.ts';
import { isReservedRole, roleSecret } from '../../installer/components/postgres/names.ts';
import { rolesProvision } from '../../installer/components/postgres/roles.ts';
import { services } from '../../installer/components/services/component.ts';
import { EMPTY_LOCK } from '../../installer/model/lock-file.ts';
import { Secret } from '../../installer/model/secret.ts';
import { sqlIdentifier, sqlLiteral } from '../../installer/model/sql-quote.ts';
import { configOf, generated, needsOf } from '../support/component-input.ts';
import { fileText, renderedData } from '../support/rendered.ts';

const IMAGE = 'image: "ghcr.io/acme/app:1", port: 3000';

t.test('which database and role a service gets', async (t) => {
  const one = { databases: ['attendee_ems'], owner: 'attendee' };
  const several = { databases: ['shop', 'rt_analytics'], owner: 'rt' };
  const none = { databases: [], owner: 'app' };
  const table = [
    [one, 'backend', 'attendee_ems', 'attendee'],
    [several, 'shop', 'shop', 'rt'],
    [several, 'rt-analytics', 'rt_analytics', 'rt'],
    [several, 'web', 'web', 'web'],
    [none, 'web-shop', 'web_shop', 'web_shop'],
  ] as const;
  for (const [wish, name, database, role] of table) {
    const got = databaseOf(wish, { name, database: undefined });
    t.match(got, { database, role, passwordSecret: roleSecret(role) });
  }
  const beside = { databases: ['analytics'], owner: 'app' };
  const named = (database: string) => databaseOf(beside, { name: 'web-shop', database });
  t.match(named('web_shop'), { database: 'web_shop', role: 'web_shop' }, 'stays with its own');
  t.match(named('analytics'), { database: 'analytics', role: 'app' });
});

t.test('names of password secrets are valid, and differ for roles that differ', async (t) => {
  const long = 'a'.repeat(63);
  const names = ['web', 'web_shop', long, `${long.slice(0, 62)}b`].map(roleSecret);
  for (const name of names) t.match(name, /^[A-Z][A-Z0-9_]{0,63}$/);
  t.equal(new Set(names).size, names.length);
});

t.test('roles of the server and of the platform are nobody else’s', async (t) => {
  for (const role of ['postgres', 'public', 'pg_monitor', 'holdfast_monitor', 'user']) {
    t.equal(isReservedRole(role), true, role);
  }
  for (const role of ['web', 'postgres_app', 'admin']) t.equal(isReservedRole(role), false, role);
});

t.test('names and texts of any kind are one identifier and one literal', async (t) => {
  t.equal(sqlIdentifier('we"b; DROP ROLE x'), '"we""b; DROP ROLE x"');
  t.equal(sqlLiteral("it's \\ :name"), "'it''s \\ :name'");
  t.throws(() => sqlIdentifier('a\0b'));
  t.throws(() => sqlIdentifier(''));
  t.throws(() => sqlLiteral('a\0b'));
});

t.test('without Postgres there is no trace of it', async (t) => {
  const desired = renderedData(`services:\n  web: { ${IMAGE} }`);
  t.strictSame(Object.keys(desired.stack.services), ['web']);
  t.strictSame(desired.provisions, []);
  t.notOk([...desired.files.keys()].some((path) => path.includes('postgres')));
});

t.test(
  '`uses` alone brings the server, on internal networks only and with no published port',
  async (t) => {
    const desired = renderedData(
      `services:\n  web: { ${IMAGE}, uses: [postgres] }\n  api: { ${IMAGE} }`,
    );
    const server = desired.stack.services['postgres'];
    t.strictSame(Object.keys(server?.networks ?? {}).sort(), ['data-web', 'exporter-postgres']);
    for (const network of Object.keys(server?.networks ?? {})) {
      t.equal(desired.stack.networks[network]?.internal, true, network);
    }
    t.equal(server?.ports, undefined);
    t.equal(server?.user, '999:999');
    t.equal(server?.cap_add, undefined);
    t.not(server?.read_only, false);
    t.match(server?.environment?.['POSTGRES_INITDB_ARGS'], /--data-checksums/);
    t.notOk('data-web' in (desired.stack.services['api']?.networks ?? {}));
  },
);

t.test(
  'point-in-time recovery is a receiver of its own, and without the key no trace',
  async (t) => {
    const body = `services:\n  web: { ${IMAGE}, uses: [postgres] }\n`;
    const off = renderedData(`${body}postgres: { pitr: { enabled: false } }`);
    t.notOk('postgres-wal' in off.stack.services);
    t.notOk([...off.files.values()].some(({ content }) => content.includes('holdfast_wal')));
    t.notOk(off.provisions.some(({ stdin }) => stdin.includes('holdfast_wal')));

    const on = renderedData(`${body}postgres: { pitr: {} }`);
    const receiver = on.stack.services['postgres-wal'];
    t.equal(receiver?.image, on.stack.services['postgres']?.image, 'the same image');
    t.strictSame(Object.keys(receiver?.networks ?? {}), ['wal']);
    t.equal(on.stack.networks['wal']?.internal, true);
    t.ok('wal' in (on.stack.services['postgres']?.networks ?? {}));
    t.match(
      fileText(on, 'postgres/pg_hba.conf'),
      /^host {2}replication holdfast_wal samenet scram-sha-256$/m,
    );
    t.match(fileText(on, 'postgres/reload.conf'), /^max_slot_wal_keep_size = '2GB'$/m);
    const [roles] = on.provisions;
    t.match(roles?.stdin, /ALTER ROLE "holdfast_wal" REPLICATION;/);
    t.match(roles?.stdin, /ALTER ROLE "web" LOGIN NOSUPERUSER .* NOREPLICATION/);
    const value = generated('POSTGRES_WAL_PASSWORD').reveal();
    const holders = [...on.files.values()].filter(({ content }) => content.includes(value));
    t.match(holders, [{ mode: 0o400, uid: 999, gid: 999, secret: true }]);
    t.ok(on.directories.some(({ path, uid }) => path.endsWith('/holdfast/wal') && uid === 999));
  },
);

t.test('the volume that a restore has made takes the place of the first one', async (t) => {
  const body = `services:\n  web: { ${IMAGE}, uses: [postgres] }\npostgres: { pitr: {} }`;
  const volume = 'postgres-data-20261128t183000z-3f9a1c';
  const before = renderedData(body);
  const after = renderedData(body, {}, { ...EMPTY_LOCK, postgresVolume: volume });
  const sources = ({ stack }: typeof before) =>
    stack.services['postgres']?.volumes?.flatMap(({ type, source }) =>
      type === 'volume' ? [source] : [],
    );
  t.strictSame(sources(before), ['postgres-data']);
  t.strictSame(sources(after), [volume]);
  t.ok(volume in after.stack.volumes);
  t.not(
    after.provisions[0]?.digest,
    before.provisions[0]?.digest,
    'roles are made anew: what was restored may be older than a password',
  );
});

t.test('the connection budget also widens the limit of processes', async (t) => {
  const desired = renderedData(
    `postgres: { maxConnections: 500 }\nservices:\n  web: { ${IMAGE}, uses: [postgres] }`,
  );
  t.equal(desired.stack.services['postgres']?.pids_limit, 656);
  t.match(fileText(desired, 'postgres/postgresql.conf'), /^max_connections = '500'$/m);
});

t.test(
  'passwords of all roles are needed, generated, and asked for once they are used',
  async (t) => {
    const config = configOf(
      `postgres: { databases: [a, b], owner: boss }\nservices:\n  web: { ${IMAGE}, uses: [postgres] }`,
    );
    const names = (needsOf(config, [services, postgres]).secrets ?? [])
      .filter(({ generate }) => generate !== undefined)
      .map(({ name }) => name);
    t.strictSame(
      new Set(names),
      new Set([
        'POSTGRES_SUPERUSER_PASSWORD',
        'POSTGRES_MONITOR_PASSWORD',
        roleSecret('boss'),
        roleSecret('web'),
      ]),
    );
  },
);

const ROLES = {
  project: 'app',
  roles: [{ name: 'web', password: new Secret('first-password') }],
  databases: [{ name: 'web', owner: 'web' }],
  monitorPassword: new Secret('monitor-password'),
  superuserPassword: new Secret('superuser-password'),
};

t.test(
  'no password is in the script, the digest or the summary; none is on a command line',
  async (t) => {
    const { stdin, argv, digest, summary } = rolesProvision(ROLES);
    for (const text of [stdin, argv.join(' '), digest, summary]) {
      for (const word of ['first-password', 'monitor-password', 'superuser-password']) {
        t.notOk(text.includes(word));
      }
    }
    t.notMatch(argv.join(' '), /SCRAM/);
    t.notMatch(stdin, /\bSUPERUSER\b/, 'nobody becomes superuser');
  },
);

t.test(
  'the digest changes with a password, a role or an owner, and with nothing else',
  async (t) => {
    const { digest } = rolesProvision(ROLES);
    t.equal(rolesProvision({ ...ROLES }).digest, digest);
    const changes = [
      { roles: [{ name: 'web', password: new Secret('second-password') }] },
      { databases: [{ name: 'web', owner: 'other' }] },
      { monitorPassword: new Secret('another') },
    ];
    for (const change of changes) t.not(rolesProvision({ ...ROLES, ...change }).digest, digest);
  },
);

t.test('the superuser’s password is a file for uid 999, and in no other text', async (t) => {
  const desired = renderedData(`services:\n  web: { ${IMAGE}, uses: [postgres] }`);
  const value = generated('POSTGRES_SUPERUSER_PASSWORD').reveal();
  const holders = [...desired.files.values()].filter(({ content }) => content.includes(value));
  t.equal(holders.length, 1);
  t.match(holders[0], { mode: 0o400, uid: 999, gid: 999, secret: true });
});
