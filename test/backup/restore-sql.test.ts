import t from 'tap';
import { connectionTo } from '../../installer/backup/psql.ts';
import { rowProblems } from '../../installer/backup/restore/check-database.ts';
import {
  createDatabaseSql,
  databasePropertiesSql,
} from '../../installer/backup/restore/create-database.ts';
import { beforeName, restoredName } from '../../installer/backup/restore/database-names.ts';
import {
  missingRoleStatements,
  tablespacesIn,
} from '../../installer/backup/restore/missing-roles.ts';
import { effortFor } from '../../installer/backup/restore/restore-effort.ts';
import { identifier, literal } from '../../installer/backup/restore/sql-text.ts';
import { type Catalog, parseCatalog } from '../../installer/backup/sources/catalog.ts';

const ID = '20260301T000000Z-abcdef';
const GLOBALS = `--
-- Roles
--

CREATE ROLE app;
ALTER ROLE app WITH NOSUPERUSER INHERIT LOGIN PASSWORD 'SCRAM-SHA-256$4096:x;y';
CREATE ROLE "Odd ""Name""";
ALTER ROLE "Odd ""Name""" WITH LOGIN;
ALTER ROLE "Odd ""Name""" SET "app.greeting" TO 'two
lines;
three';
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER;
\\unrestrict x
GRANT app TO "Odd ""Name""" WITH INHERIT TRUE GRANTED BY postgres;
GRANT "Odd ""Name""" TO app;
`;

t.test('only the statements of roles that are missing are taken', async (t) => {
  t.strictSame(missingRoleStatements(GLOBALS, new Set(['app', 'postgres'])), [
    'CREATE ROLE "Odd ""Name""";',
    'ALTER ROLE "Odd ""Name""" WITH LOGIN;',
    'ALTER ROLE "Odd ""Name""" SET "app.greeting" TO \'two\nlines;\nthree\';',
    'GRANT app TO "Odd ""Name""" WITH INHERIT TRUE GRANTED BY postgres;',
  ]);
  t.strictSame(missingRoleStatements(GLOBALS, new Set(['app', 'postgres', '"Odd ""Name"""'])), []);
  t.equal(missingRoleStatements(GLOBALS, new Set()).length, 9);
});

t.test('the tablespaces of the saved server are known by their names', async (t) => {
  const made = `CREATE TABLESPACE space OWNER postgres LOCATION '/a;b';\nCREATE TABLESPACE "Odd One" OWNER x LOCATION '/b';\n`;
  t.strictSame(tablespacesIn(`${GLOBALS}${made}`), ['space', '"Odd One"']);
  t.strictSame(tablespacesIn(GLOBALS), []);
});

const catalog: Catalog = parseCatalog(
  JSON.stringify({
    version: 1,
    database: {
      datname: 'shop',
      owner: "o'brien",
      encodingName: 'UTF8',
      datcollate: 'C.UTF-8',
      datctype: 'C.UTF-8',
      datlocprovider: 'i',
      datlocale: 'fr-FR',
      daticurules: '&a < z',
      datconnlimit: 50,
      sizeBytes: 1,
      settings: [
        { role: null, setting: 'search_path="$user", public' },
        { role: 'app', setting: "app.motto=it's = so\\n" },
      ],
      grants: [
        { grantee: null, privilege: 'TEMPORARY', grantable: false },
        { grantee: 'app', privilege: 'CONNECT', grantable: true },
      ],
    },
    extensions: [],
    tables: [],
  }),
);

t.test('a database is made like the one that was saved', async (t) => {
  t.equal(
    createDatabaseSql('new "one"', catalog),
    `CREATE DATABASE "new ""one""" TEMPLATE template0 OWNER "o'brien" ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' LOCALE_PROVIDER icu ICU_LOCALE 'fr-FR' ICU_RULES '&a < z' CONNECTION LIMIT 50;`,
  );
  t.equal(
    databasePropertiesSql('new', catalog),
    [
      `ALTER DATABASE "new" SET "search_path" TO '$user', 'public';`,
      `ALTER ROLE "app" IN DATABASE "new" SET "app"."motto" TO E'it''s = so\\\\n';`,
      'REVOKE ALL ON DATABASE "new" FROM PUBLIC;',
      'GRANT TEMPORARY ON DATABASE "new" TO PUBLIC;',
      'GRANT CONNECT ON DATABASE "new" TO "app" WITH GRANT OPTION;',
    ].join('\n'),
  );
});

t.test('names fit into 63 bytes and do not collide', async (t) => {
  t.equal(restoredName('shop', ID), 'shop_restored_20260301t000000z_abcdef');
  t.equal(Buffer.byteLength(restoredName('é'.repeat(31), ID)), 62);
  const [one, other] = [
    'customer_portal_production_eu_west_1',
    'customer_portal_production_eu_west_2',
  ];
  t.not(restoredName(one, ID), restoredName(other, ID), 'names that begin alike stay apart');
  t.not(beforeName(one, ID, new Set()), beforeName(other, ID, new Set()));
  const first = beforeName('shop', ID, new Set());
  t.equal(first, 'shop_before_20260301t000000z_abcdef');
  t.equal(beforeName('shop', ID, new Set([first])), `${first}_2`);
});

t.test('quoting', async (t) => {
  t.equal(identifier('a"b'), '"a""b"');
  t.equal(literal("a'b"), "'a''b'");
  t.equal(literal('a\\b'), "E'a\\\\b'");
  t.equal(connectionTo("it's \\ host=evil"), "dbname='it\\'s \\\\ host=evil'");
});

t.test('every difference in rows is told', async (t) => {
  const table = (name: string, rows: number) => ({ schema: 'public', table: name, rows });
  t.strictSame(rowProblems([table('a', 1), table('b', 2)], [table('a', 1), table('b', 2)]), []);
  t.strictSame(rowProblems([table('a', 1), table('b', 2)], [table('a', 0), table('c', 2)]), [
    'public.a has 0 rows instead of 1',
    'public.b is missing',
    'public.c was not saved',
  ]);
});

t.test('a restore takes a bounded share of the memory', async (t) => {
  for (const [cores, gib] of [
    [1, 0.25],
    [2, 1],
    [4, 4],
    [64, 256],
  ] as const) {
    const { jobs, sortBytes } = effortFor(cores, gib * 1024 ** 3);
    t.ok(jobs >= 2 && jobs <= 8);
    t.ok(
      jobs * sortBytes <= Math.max((gib * 1024 ** 3) / 8 + jobs, jobs * 16 * 1024 ** 2),
      `${cores} cores, ${gib} GiB`,
    );
  }
});
