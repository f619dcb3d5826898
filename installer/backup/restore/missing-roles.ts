const NAME = '("(?:[^"]|"")+"|[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*)';
const CREATE = new RegExp(`^CREATE ROLE ${NAME};$`);
const ALTER = new RegExp(`^ALTER ROLE ${NAME} `);
const TABLESPACE = new RegExp(`^CREATE TABLESPACE ${NAME} `);
const GRANT = new RegExp(`^GRANT ${NAME} TO ${NAME}(?: |;)`);

/**
 * The statements of `pg_dumpall --globals-only` that make the roles which a server does not have.
 * Roles that it has stay as they are: their passwords may have changed since the backup.
 * @param existing names as `quote_ident` writes them
 */
export function missingRoleStatements(globals: string, existing: ReadonlySet<string>): string[] {
  const statements = splitStatements(globals);
  const missing = new Set(
    statements.flatMap((statement) => {
      const name = CREATE.exec(statement)?.[1];
      return name === undefined || existing.has(name) ? [] : [name];
    }),
  );
  return statements.filter((statement) => {
    const created = CREATE.exec(statement)?.[1] ?? ALTER.exec(statement)?.[1];
    const member = GRANT.exec(statement)?.[2];
    return missing.has(created ?? member ?? '');
  });
}

/** Names of the tablespaces of the server that was saved, as `quote_ident` writes them. */
export function tablespacesIn(globals: string): string[] {
  return splitStatements(globals).flatMap((statement) => TABLESPACE.exec(statement)?.[1] ?? []);
}

/** Statements end at a `;` at the end of a line outside quotes; comments and psql commands are left out. */
function splitStatements(script: string): string[] {
  const statements: string[] = [];
  let current: string[] = [];
  for (const line of script.split('\n')) {
    if (current.length === 0 && (line === '' || line.startsWith('--') || line.startsWith('\\'))) {
      continue;
    }
    current.push(line);
    const text = current.join('\n');
    if (!line.endsWith(';') || isInsideQuotes(text)) continue;
    statements.push(text);
    current = [];
  }
  return statements;
}

function isInsideQuotes(text: string): boolean {
  return (text.match(/'/g)?.length ?? 0) % 2 === 1 || (text.match(/"/g)?.length ?? 0) % 2 === 1;
}
