import { z } from 'zod';

const schema = z.object({
  version: z.literal(1),
  /** The row of pg_database, whose columns differ between versions, and what belongs to it. */
  database: z.looseObject({
    datname: z.string(),
    owner: z.string(),
    encodingName: z.string(),
    datcollate: z.string(),
    datctype: z.string(),
    datlocprovider: z.string().optional(),
    /** `daticulocale` up to 16, `datlocale` from 17 on. */
    daticulocale: z.string().nullish(),
    datlocale: z.string().nullish(),
    /** From 16 on. */
    daticurules: z.string().nullish(),
    datconnlimit: z.number(),
    sizeBytes: z.number(),
    comment: z.string().nullish(),
    /** Of logical replication; absent in older backups. */
    subscriptions: z.array(z.string()).optional(),
    settings: z.array(z.object({ role: z.string().nullable(), setting: z.string() })),
    grants: z.array(
      z.object({ grantee: z.string().nullable(), privilege: z.string(), grantable: z.boolean() }),
    ),
  }),
  extensions: z.array(z.object({ name: z.string(), version: z.string() })),
  /** In the very snapshot that was dumped; null where somebody changed the table meanwhile or waited to, and it was not looked at. */
  tables: z.array(z.object({ schema: z.string(), table: z.string(), rows: z.number().nullable() })),
});

/** What a restored database is compared with. Encrypted like the data: names of tables tell a lot. */
export type Catalog = z.output<typeof schema>;

export function parseCatalog(content: string): Catalog {
  return schema.parse(JSON.parse(content));
}

export const DATABASE_QUERY = `
SELECT to_jsonb(d) || jsonb_build_object(
  'owner', pg_get_userbyid(datdba),
  'encodingName', pg_encoding_to_char(encoding),
  'sizeBytes', pg_database_size(d.oid),
  'comment', shobj_description(d.oid, 'pg_database'),
  'subscriptions', (SELECT coalesce(jsonb_agg(subname), '[]') FROM pg_subscription WHERE subdbid = d.oid),
  'settings', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'role', CASE WHEN s.setrole = 0 THEN NULL ELSE pg_get_userbyid(s.setrole) END,
      'setting', setting)), '[]')
    FROM pg_db_role_setting s, unnest(s.setconfig) setting WHERE s.setdatabase = d.oid),
  'grants', (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'grantee', CASE WHEN a.grantee = 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END,
      'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
    FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a))
FROM pg_database d WHERE datname = current_database();`;

export const EXTENSIONS_QUERY = `
SELECT coalesce(jsonb_agg(jsonb_build_object('name', extname, 'version', extversion)), '[]')
FROM pg_extension;`;

/** Tables with data of their own in a dump: no system table, none of an extension, no parent of partitions twice. */
const TABLES = `pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
  AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`;

const COUNTING =
  "format('SELECT json_build_object(''schema'', %L::text, ''table'', %L::text, ''rows'', (SELECT count(*) FROM ONLY %I.%I))', n.nspname, c.relname, n.nspname, c.relname)";
const NOT_COUNTING =
  "format('SELECT json_build_object(''schema'', %L::text, ''table'', %L::text, ''rows'', NULL)', n.nspname, c.relname)";

/** One line of JSON per table. */
export const ROWS_QUERY = `SELECT ${COUNTING} FROM ${TABLES} ORDER BY n.nspname, c.relname \\gexec`;

/** Hashed, where EXISTS would be looked through for each table. */
const holds = (pid: string): string => `c.oid IN (SELECT l.relation FROM pg_locks l
    WHERE l.pid = ${pid} AND l.locktype = 'relation' AND l.granted AND l.relation IS NOT NULL)`;
const WE_HOLD = holds('pg_backend_pid()');
/** The table is of the snapshot, the function of now: in a file that came since, no snapshot finds the rows of before. */
const IS_IN_ITS_FILE = 'c.relfilenode = pg_relation_filenode(c.oid)';

/**
 * The same for a session beside pg_dump that must never wait for a lock: whoever waits to change a table would wait
 * for it, it for him, and all others behind them. Of those tables there are no figures, nor of those that were
 * emptied or rewritten since the snapshot.
 * All tables at a time, and one by one where that fails. Counting locks the indexes of a table as well, which pg_dump does
 * not: they are given back table by table, or a REINDEX would wait, and all queries on that table behind it.
 */
export const ROWS_WITHOUT_WAITING = `
\\set ON_ERROR_STOP off
\\set ON_ERROR_ROLLBACK on
SELECT 'LOCK TABLE ' || string_agg(format('ONLY %I.%I', n.nspname, c.relname), ', ') || ' IN ACCESS SHARE MODE NOWAIT'
  FROM ${TABLES} HAVING count(*) > 0 \\gexec
SELECT format('LOCK TABLE ONLY %I.%I IN ACCESS SHARE MODE NOWAIT', n.nspname, c.relname)
  FROM ${TABLES} AND NOT ${WE_HOLD} \\gexec
\\set ON_ERROR_ROLLBACK off
\\set ON_ERROR_STOP on
SELECT 'SAVEPOINT counting', CASE WHEN ${WE_HOLD} AND ${IS_IN_ITS_FILE} THEN ${COUNTING} ELSE ${NOT_COUNTING} END,
  'ROLLBACK TO SAVEPOINT counting', 'RELEASE SAVEPOINT counting'
  FROM ${TABLES} ORDER BY n.nspname, c.relname \\gexec`;

/** Whether pg_dump has locked every table that it will read: `yes`, `no`, or `absent` while it is not connected. */
export function dumpHoldsLocks(applicationName: string): string {
  const dump = `SELECT pid FROM pg_stat_activity WHERE application_name = '${applicationName}'
    AND datname = current_database() AND pid <> pg_backend_pid()`;
  // Within a transaction the first look at who is connected would be the last.
  return `SELECT pg_stat_clear_snapshot();
SELECT CASE WHEN NOT EXISTS (${dump}) THEN 'absent'
  WHEN EXISTS (SELECT FROM ${TABLES} AND NOT ${holds(`ANY (ARRAY(${dump}))`)}) THEN 'no' ELSE 'yes' END;`;
}
