import { type PostgresServer, PsqlSession } from '../psql.ts';
import { type Catalog, DATABASE_QUERY, EXTENSIONS_QUERY, ROWS_QUERY } from './catalog.ts';

/** Asked this often, so that the server may end the session soon after we die. */
const KEEP_ALIVE_SECONDS = 20;

/** One moment of a database that pg_dump and the row counts both see. */
export class Snapshot {
  readonly id: string;
  readonly #session: PsqlSession;
  readonly #timer: NodeJS.Timeout;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(session: PsqlSession, id: string) {
    this.id = id;
    this.#session = session;
    this.#timer = setInterval(() => {
      this.#run('SELECT 1;').catch(() => clearInterval(this.#timer));
    }, KEEP_ALIVE_SECONDS * 1000);
  }

  static async take(server: PostgresServer, database: string): Promise<Snapshot> {
    const session = await PsqlSession.open(server, database);
    const [id = ''] = await session.run(
      [
        "SET idle_in_transaction_session_timeout = '2min';",
        'SET statement_timeout = 0;',
        'SET lock_timeout = 0;',
        'BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;',
        'SELECT pg_export_snapshot();',
      ].join('\n'),
    );
    return new Snapshot(session, id);
  }

  async catalog(): Promise<Catalog> {
    const [database = '', extensions = ''] = await this.#run(
      `${DATABASE_QUERY}\n${EXTENSIONS_QUERY}`,
    );
    const tables = await this.#run(ROWS_QUERY);
    return {
      version: 1,
      database: JSON.parse(database),
      extensions: JSON.parse(extensions),
      tables: tables.map((line) => JSON.parse(line)),
    };
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#last.catch(() => undefined);
    await this.#session.close();
  }

  /** After a failure: does not wait for what is still being counted. */
  async abandon(): Promise<void> {
    clearInterval(this.#timer);
    await this.#session.cancel();
  }

  /** One after the other: the session answers in order. */
  async #run(script: string): Promise<string[]> {
    const next = this.#last.catch(() => undefined).then(() => this.#session.run(script));
    this.#last = next;
    return await next;
  }
}
