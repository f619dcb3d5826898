import type { Catalog } from '../sources/catalog.ts';
import { identifier, literal } from './sql-text.ts';

/** Settings whose value is a list: quoted as one text they would mean something else. As pg_dump has them. */
const LISTS = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

/** An empty database that is in everything but its name like the one that was saved. */
export function createDatabaseSql(name: string, { database }: Catalog): string {
  const options = [
    `TEMPLATE template0`,
    `OWNER ${identifier(database.owner)}`,
    `ENCODING ${literal(database.encodingName)}`,
    `LC_COLLATE ${literal(database.datcollate)}`,
    `LC_CTYPE ${literal(database.datctype)}`,
    ...localeProvider(database),
    `CONNECTION LIMIT ${database.datconnlimit}`,
  ];
  return `CREATE DATABASE ${identifier(name)} ${options.join(' ')};`;
}

function localeProvider(database: Catalog['database']): string[] {
  const locale = database.datlocale ?? database.daticulocale;
  if (typeof locale !== 'string') return [];
  switch (database.datlocprovider) {
    case 'i':
      return [
        'LOCALE_PROVIDER icu',
        `ICU_LOCALE ${literal(locale)}`,
        ...(typeof database.daticurules === 'string'
          ? [`ICU_RULES ${literal(database.daticurules)}`]
          : []),
      ];
    case 'b':
      return ['LOCALE_PROVIDER builtin', `BUILTIN_LOCALE ${literal(locale)}`];
    default:
      return [];
  }
}

/** Settings and rights of the saved database, given to the new one. */
export function databasePropertiesSql(name: string, { database }: Catalog): string {
  const target = identifier(name);
  return [
    ...database.settings.map(({ role, setting }) => settingSql(target, role, setting)),
    `REVOKE ALL ON DATABASE ${target} FROM PUBLIC;`,
    ...database.grants.map(
      ({ grantee, privilege, grantable }) =>
        `GRANT ${privilege} ON DATABASE ${target} TO ${grantee === null ? 'PUBLIC' : identifier(grantee)}${grantable ? ' WITH GRANT OPTION' : ''};`,
    ),
  ].join('\n');
}

function settingSql(target: string, role: string | null, setting: string): string {
  const equals = setting.indexOf('=');
  const name = setting.slice(0, equals);
  const value = setting.slice(equals + 1);
  const subject =
    role === null
      ? `ALTER DATABASE ${target}`
      : `ALTER ROLE ${identifier(role)} IN DATABASE ${target}`;
  const written = LISTS.has(name)
    ? listElements(value).map(literal).join(', ') || "''"
    : literal(value);
  return `${subject} SET ${name.split('.').map(identifier).join('.')} TO ${written};`;
}

/** `"$user", public` → `$user`, `public`. */
function listElements(value: string): string[] {
  return [...value.matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)].map(([, quoted, bare]) =>
    quoted === undefined ? (bare ?? '') : quoted.replaceAll('""', '"'),
  );
}
