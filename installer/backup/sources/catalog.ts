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
    datconnlimit: z.number(),
    sizeBytes: z.number(),
    comment: z.string().nullish(),
    settings: z.array(z.object({ role: z.string().nullable(), setting: z.string() })),
    grants: z.array(
      z.object({ grantee: z.string().nullable(), privilege: z.string(), grantable: z.boolean() }),
    ),
  }),
  extensions: z.array(z.object({ name: z.string(), version: z.string() })),
  /** In the very snapshot that was dumped. */
  tables: z.array(z.object({ schema: z.string(), table: z.string(), rows: z.number() })),
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

/**
 * One line of JSON per table with data of its own in a dump: no system table, none of an extension, no parent
 * of partitions twice.
 */
export const ROWS_QUERY = `
SELECT format(
  'SELECT json_build_object(''schema'', %L::text, ''table'', %L::text, ''rows'', (SELECT count(*) FROM ONLY %I.%I))',
  n.nspname, c.relname, n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
  AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname
\\gexec`;
