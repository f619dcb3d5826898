import { setTimeout as wait } from 'node:timers/promises';
import { type PostgresServer, PsqlSession } from '../psql.ts';
import {
  type Catalog,
  DATABASE_QUERY,
  dumpHoldsLocks,
  EXTENSIONS_QUERY,
  ROWS_WITHOUT_WAITING,
} from './catalog.ts';

/** Asked this often, so that the server may end the session soon after we die. */
const KEEP_ALIVE_SECONDS = 20;

const SHORTEST_REST_MILLISECONDS = 50;

/** One moment of a database that pg_dump and the row counts both see. */
export class Snapshot {
  readonly id: string;
  readonly #session: PsqlSession;
  readonly #timer: NodeJS.Timeout;
  readonly #applicationName: string;
  #dumpHasEnded = false;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(session: PsqlSession, id: string, applicationName: string) {
    this.id = id;
    this.#applicationName = applicationName;
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
        'BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;',
        'SELECT pg_export_snapshot();',
      ].join('\n'),
    );
    return new Snapshot(session, id, server.applicationName);
  }

  /**
   * Counts while pg_dump works, from when it holds all of its locks. Locks of ours before that would make who wants to
   * change a table wait for us, and pg_dump, for which we wait, for him.
   */
  async catalog(): Promise<Catalog> {
    while (!this.#dumpHasEnded) {
      const lookedAt = performance.now();
      const [answer] = await this.#run(dumpHoldsLocks(this.#applicationName));
      if (answer === 'yes') break;
      await wait(Math.max(SHORTEST_REST_MILLISECONDS, 2 * (performance.now() - lookedAt)));
    }
    const [database = '', extensions = ''] = await this.#run(
      `${DATABASE_QUERY}\n${EXTENSIONS_QUERY}`,
    );
    const tables = await this.#run(ROWS_WITHOUT_WAITING);
    // The locks of a dump that has any show that it took the snapshot over. Without a table it may yet have to.
    if (tables.length > 0) await this.#run('COMMIT;');
    return {
      version: 1,
      database: JSON.parse(database),
      extensions: JSON.parse(extensions),
      tables: tables.map((line) => JSON.parse(line)),
    };
  }

  /** It may have been too quick to be seen. */
  dumpHasEnded(): void {
    this.#dumpHasEnded = true;
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
