import { type PostgresServer, runSql } from '../psql.ts';
import { ROWS_QUERY } from '../sources/catalog.ts';

/**
 * What must be the same in the copy of a cluster, one line each: roles with their passwords (as a hash of what is
 * stored), members and settings; databases with owner, encoding, collation, rights and settings.
 */
const CLUSTER = `
SELECT format('role %I: %s', rolname, concat_ws(' ', rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin,
  rolreplication, rolbypassrls, rolconnlimit, rolvaliduntil, 'password ' || coalesce(md5(rolpassword), 'none')))
FROM pg_authid WHERE rolname !~ '^pg_';
SELECT format('member %s of %s, admin %s', member::regrole, roleid::regrole, admin_option)
FROM pg_auth_members WHERE member >= 16384;
SELECT format('setting of role %s in database %s: %s', coalesce(r.rolname, 'any'), coalesce(d.datname, 'any'), setting)
FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase,
  unnest(s.setconfig) setting;
SELECT format('database %I: owner %s, %s, collate %s, ctype %s, locale %s, limit %s, template %s, comment %s', datname,
  pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype,
  coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale', 'none'), datconnlimit, datistemplate,
  md5(shobj_description(d.oid, 'pg_database')))
FROM pg_database d WHERE datname NOT IN ('template0', 'template1', 'postgres');
SELECT format('right on database %I: %s may %s%s', datname, coalesce(nullif(grantee, 0)::regrole::text, 'anybody'),
  privilege_type, CASE WHEN is_grantable THEN ' and grant it' END)
FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE datname NOT IN ('template0', 'template1');
SELECT format('in the cluster by ALTER SYSTEM: %s', name) FROM pg_file_settings WHERE sourcefile ~ 'postgresql.auto.conf$';
`;

/** Of one database, without what belongs to an extension: that changes with its version. */
const DATABASE = `
SELECT format('extension %I', extname) FROM pg_extension;
SELECT format('sequence %I.%I: %s', schemaname, sequencename, coalesce(last_value::text, 'unused')) FROM pg_sequences;
SELECT format('%s objects of kind %s in %I, owner %s', count(*), relkind, nspname, pg_get_userbyid(relowner))
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname !~ '^pg_(toast|temp)' AND NOT EXISTS (
  SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
GROUP BY relkind, nspname, relowner;
SELECT format('%s functions in %I', count(*), nspname)
FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND NOT EXISTS (
  SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
GROUP BY nspname;
SELECT format('%s constraints of kind %s', count(*), contype) FROM pg_constraint
WHERE connamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  AND contype IN ('c', 'f', 'p', 'u', 'x') GROUP BY contype;
SELECT format('%s triggers', count(*)) FROM pg_trigger WHERE NOT tgisinternal;
SELECT format('%s policies', count(*)) FROM pg_policy;
SELECT format('%s large objects', count(*)) FROM pg_largeobject_metadata;
`;

const DATABASES = `SELECT datname FROM pg_database WHERE datallowconn ORDER BY datname;`;

/** Sorted lines. Every row is read once. */
export async function portraitOf(server: PostgresServer): Promise<string[]> {
  const lines = await runSql(server, 'postgres', CLUSTER);
  for (const database of await runSql(server, 'postgres', DATABASES)) {
    for (const line of await runSql(server, database, DATABASE)) lines.push(`${database}: ${line}`);
    for (const line of await runSql(server, database, ROWS_QUERY)) {
      const { schema, table, rows } = JSON.parse(line) as Record<string, string>;
      lines.push(`${database}: table ${schema}.${table}: ${rows} rows`);
    }
  }
  return lines.sort();
}

/** What differs, as sentences for a person. */
export function differences(before: readonly string[], after: readonly string[]): string[] {
  const [old, young] = [new Set(before), new Set(after)];
  return [
    ...before.filter((line) => !young.has(line)).map((line) => `missing in the copy: ${line}`),
    ...after.filter((line) => !old.has(line)).map((line) => `only in the copy: ${line}`),
  ];
}
