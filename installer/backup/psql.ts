import { PassThrough, type Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { Engine } from '../engine/engine.ts';
import { AppError } from '../errors.ts';

/** A Postgres server in a container, entered through its socket as the superuser. */
export interface PostgresServer {
  readonly engine: Engine;
  readonly container: string;
  readonly superuser: string;
  /** What our connections call themselves, so that a later run finds what a killed one left. Letters, digits, hyphens. */
  readonly applicationName: string;
  /** The container's first process, when it is one of this machine; see container-pipe.ts. */
  readonly pid?: number;
  /** To `postgres`, for the statements there: entering the container for each of them takes a tenth of a second. */
  readonly session?: PsqlSession;
}

/** Operating system user of the container that `peer` lets in. */
const SYSTEM_USER = 'postgres';

/**
 * What our sessions depend on, for statements of the user's own. As options of the connection they win over what role,
 * database and server set for the product. `replica` keeps event triggers from what we do.
 */
export const SESSION_OF_USER: readonly string[] = [
  'statement_timeout=0',
  'lock_timeout=0',
  'idle_in_transaction_session_timeout=0',
  'idle_session_timeout=0',
  'default_transaction_read_only=off',
  'role=none',
  'standard_conforming_strings=on',
  'session_replication_role=replica',
];

/** Whoever owns a database chooses its search path, and with that whose functions a superuser calls. */
export const SESSION: readonly string[] = [...SESSION_OF_USER, 'search_path=pg_catalog'];

/** Older servers than Postgres 17 refuse it as an option of the connection. */
const SESSION_OF_17 = `SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout' \\g /dev/null\n`;

/** @param session settings as `name=value`, without spaces */
export function postgresExec(
  server: PostgresServer,
  argv: readonly [string, ...string[]],
  session: readonly string[] = SESSION,
): {
  readonly argv: readonly [string, ...string[]];
  readonly user: string;
  readonly env: Readonly<Record<string, string>>;
} {
  return {
    argv,
    user: SYSTEM_USER,
    env: {
      PGUSER: server.superuser,
      PGAPPNAME: server.applicationName,
      PGOPTIONS: session.map((setting) => `-c ${setting}`).join(' '),
    },
  };
}

function psqlArgv(database: string): [string, ...string[]] {
  return [
    'psql',
    '-XqAt',
    '-v',
    'ON_ERROR_STOP=1',
    '-v',
    'VERBOSITY=terse',
    '-d',
    connectionTo(database),
  ];
}

/** A database name as libpq takes it in `-d`, where `=` or a slash would be read as a connection string. */
export function connectionTo(database: string): string {
  return `dbname='${database.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/**
 * Runs a script and gives its output lines. psql reads it from standard input, so it may be long.
 * @throws AppError `backup/postgres-down`, `backup/sql`
 */
export async function runSql(
  server: PostgresServer,
  database: string,
  script: string,
  settings = SESSION,
): Promise<string[]> {
  const { session } = server;
  const isOurs = settings === SESSION && database === 'postgres';
  if (isOurs && session?.isOpen === true) return await session.run(script);
  const { argv, ...rest } = postgresExec(server, psqlArgv(database), settings);
  const stdin = SESSION_OF_17 + script;
  const result = await server.engine.exec(server.container, { argv, ...rest, stdin });
  if (result.exitCode !== 0) throw sqlError(server, result.exitCode, result.stderr);
  return result.stdout.split('\n').filter((line) => line !== '');
}

/** For statements that must not wait for, or share the fate of, those of the session. */
export function withoutSession({ session: _, ...server }: PostgresServer): PostgresServer {
  return server;
}

/** SQL that ends what a run left that was killed: whoever holds the lock of the job is the only one with its name. */
export function endEarlierSessions({ applicationName }: PostgresServer): string {
  return `DO $$ BEGIN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = '${applicationName}' AND pid <> pg_backend_pid(); END $$;`;
}

/** One value of one row, parsed as JSON. */
export async function queryJson<T>(
  server: PostgresServer,
  database: string,
  query: string,
): Promise<T> {
  const lines = await runSql(server, database, query);
  return JSON.parse(lines.join('\n')) as T;
}

const END_OF_ANSWER = '-- end of answer --';

/** A connection that stays open, so that several steps see one snapshot. */
export class PsqlSession {
  readonly #server: PostgresServer;
  readonly #input: PassThrough;
  readonly #lines: AsyncGenerator<string>;
  readonly #done: Promise<{ readonly exitCode: number; readonly stderr: string }>;
  #isOpen = true;
  /** Of the script that runs: one is answered after the other. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    server: PostgresServer,
    input: PassThrough,
    stdout: Readable,
    done: Promise<{ readonly exitCode: number; readonly stderr: string }>,
  ) {
    this.#server = server;
    this.#input = input;
    this.#lines = linesOf(stdout as AsyncIterable<Buffer>);
    this.#done = done;
    done.catch(() => undefined);
  }

  static async open(server: PostgresServer, database: string): Promise<PsqlSession> {
    const input = new PassThrough();
    input.write(SESSION_OF_17);
    const { argv, ...rest } = postgresExec(server, psqlArgv(database));
    const { stdout, done } = await server.engine.execStream(server.container, {
      argv,
      ...rest,
      stdin: input,
    });
    return new PsqlSession(server, input, stdout, done);
  }

  /** False once it was closed or a script failed. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** @throws AppError `backup/postgres-down`, `backup/sql`; the connection is at its end then */
  async run(script: string): Promise<string[]> {
    const answer = this.#last.then(() => this.#ask(script));
    this.#last = answer.catch(() => undefined);
    return await answer;
  }

  async #ask(script: string): Promise<string[]> {
    try {
      return await this.#answer(script);
    } catch (error) {
      this.#isOpen = false;
      throw error;
    }
  }

  async #answer(script: string): Promise<string[]> {
    this.#input.write(`${script}\n\\echo '${END_OF_ANSWER}'\n`);
    const answer: string[] = [];
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) {
        const { exitCode, stderr } = await this.#done;
        throw sqlError(this.#server, exitCode, stderr);
      }
      if (value === END_OF_ANSWER) return answer;
      if (value !== '') answer.push(value);
    }
  }

  /** Ends the connection from outside, whatever it is at. */
  async cancel(): Promise<void> {
    this.#isOpen = false;
    this.#input.end();
    try {
      await runSql(
        this.#server,
        'postgres',
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = '${this.#server.applicationName}' AND pid <> pg_backend_pid();`,
      );
    } catch {
      // A server that is down holds no connection either.
    }
    await this.close();
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    this.#input.end();
    try {
      for await (const line of this.#lines) void line;
      await this.#done;
    } catch {
      // It is broken already, which `run` has told to whom it mattered.
    }
  }
}

async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}

const LONGEST_LINE = 1_000;

/** psql's exit code 2 is a lost or refused connection, 3 an error in the script. */
export function sqlError(server: PostgresServer, exitCode: number, stderr: string): AppError {
  if (isShortOfLocks(stderr)) return tooManyTables(server.container);
  const lines = stderr.trim().split('\n').slice(-5);
  // A statement that names ten thousand tables is told in part.
  const why =
    lines.map((line) => line.slice(0, LONGEST_LINE)).join('\n') || `exit code ${exitCode}`;
  // Of psql itself come 1 to 3; these are of a container that stops.
  const isEnded = exitCode === 126 || exitCode > 128;
  if (
    isEnded ||
    /connection to server|server closed the connection|terminating connection|shutting down|starting up/.test(
      why,
    )
  ) {
    return postgresDown(server.container, why);
  }
  return new AppError({
    code: 'backup/sql',
    what: `Postgres in ${server.container} refused a statement`,
    why,
    hint: 'holdfast logs postgres',
  });
}

export function isShortOfLocks(said: string): boolean {
  return said.includes('max_locks_per_transaction');
}

/** A dump locks each table at once, and each partition is one; Postgres has room for a fixed number of locks. */
export function tooManyTables(container: string): AppError {
  return new AppError({
    code: 'backup/too-many-tables',
    what: `Postgres in ${container} has fewer locks than there are tables and partitions`,
    why: 'a dump locks all of them at once; there is room for max_locks_per_transaction times max_connections',
    hint: 'write `postgres: { settings: { max_locks_per_transaction: "2048" } }` into config.yaml, which does for 100,000; holdfast apply restarts Postgres; then `holdfast backup run`. Base backups (`postgres.pitr`) need none of it',
  });
}

export function postgresDown(container: string, why: string): AppError {
  return new AppError({
    code: 'backup/postgres-down',
    what: `Postgres in ${container} does not answer`,
    why,
    hint: 'holdfast status; holdfast logs postgres',
  });
}
