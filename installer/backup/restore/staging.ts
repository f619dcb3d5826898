import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { AppError } from '../../errors.ts';
import { containerPipe, openContainerPipe, toldEnding } from '../container-pipe.ts';
import type { BackupObject } from '../manifest.ts';
import { connectionTo, type PostgresServer, postgresExec, sqlError } from '../psql.ts';
import { type OpenBackup, readObject } from '../read-object.ts';

/**
 * A folder on the volume of the database, 0700: `pg_restore --jobs` needs a file that it can seek in, and this
 * volume is the one place that holds the same data in the clear anyhow. Postgres leaves folders that it does
 * not know alone.
 */
const FOLDER = 'holdfast-restore';

// Fixed texts; folder and file arrive as arguments.
const WRITE = 'umask 077; mkdir -p -- "$1" && cat >"$1/$2" && stat --format=%s -- "$1/$2"';
const CLEAN = 'rm -rf -- "$1"';
const OPEN = `data=$(psql -XqAt -v ON_ERROR_STOP=1 -d "$1" -c "$2" -c 'SHOW data_directory') || exit 2
rm -rf -- "$data/$3" && printf '%s\\n' "$data" && df --output=avail --block-size=1 -- "$data"`;

export class Staging {
  /** On the volume, when it was opened. */
  readonly freeBytes: number;
  readonly #server: PostgresServer;
  readonly #folder: string;

  private constructor(server: PostgresServer, folder: string, freeBytes: number) {
    this.#server = server;
    this.#folder = folder;
    this.freeBytes = freeBytes;
  }

  /**
   * Removes what a killed restore left there.
   * @param first a statement that may free space, and so comes before that is measured
   * @throws AppError `backup/postgres-down`, `backup/sql`, `restore/staging`
   */
  static async open(server: PostgresServer, first: string): Promise<Staging> {
    const { exitCode, stdout, stderr } = await server.engine.exec(
      server.container,
      postgresExec(server, ['sh', '-c', OPEN, 'sh', connectionTo('postgres'), first, FOLDER]),
    );
    if (exitCode === 2) throw sqlError(server, exitCode, stderr);
    if (exitCode !== 0) throw stagingError(stderr);
    const [data = '', , free = ''] = stdout.split('\n');
    return new Staging(server, `${data}/${FOLDER}`, Number.parseInt(free, 10) || 0);
  }

  /** Lays an archive down and gives its path in the container. */
  async write(backup: OpenBackup, object: BackupObject): Promise<string> {
    const file = object.name.replace(/\.age$/, '');
    const command = ['sh', '-c', WRITE, 'sh', this.#folder, file] as const;
    const size =
      (await this.#writePiped(backup, object, command)) ??
      (await this.#writeThroughEngine(readObject(backup, object), command));
    if (Number(size) !== object.plainSize) {
      throw stagingError(`${file} has ${size.trim()} bytes instead of ${object.plainSize}`);
    }
    return `${this.#folder}/${file}`;
  }

  /** age writes straight into the container. Undefined where that cannot be. */
  async #writePiped(
    backup: OpenBackup,
    object: BackupObject,
    command: readonly [string, ...string[]],
  ): Promise<string | undefined> {
    if (backup.manifest.encryption.kind === 'none') return undefined;
    const pipe = containerPipe(this.#server, command, 'in');
    const opened = pipe === undefined ? undefined : await openContainerPipe(pipe);
    if (opened === undefined) return undefined;
    const { program, end } = opened;
    const said = text(program.stdout);
    said.catch(() => undefined);
    let failure: { readonly error: unknown } | undefined;
    try {
      for await (const chunk of readObject(backup, object, { to: end.fd })) void chunk;
    } catch (error) {
      failure = { error };
    } finally {
      await end.close();
    }
    // A disk that is full breaks the pipe of age, so it is the cause.
    const { exitCode, stderr } = await toldEnding(program);
    if (exitCode !== 0) throw stagingError(stderr);
    if (failure !== undefined) throw failure.error;
    return await said;
  }

  async #writeThroughEngine(
    plain: AsyncIterable<Uint8Array>,
    command: readonly [string, ...string[]],
  ): Promise<string> {
    const { argv, ...rest } = postgresExec(this.#server, command);
    const stdin = Readable.from(plain, { objectMode: false });
    const { stdout, done } = await this.#server.engine.execStream(this.#server.container, {
      argv,
      ...rest,
      stdin,
    });
    const said = text(stdout);
    said.catch(() => undefined);
    const { exitCode, stderr } = await done;
    if (exitCode !== 0) throw stagingError(stderr);
    return await said;
  }

  async clear(): Promise<void> {
    const { exitCode, stderr } = await this.#server.engine.exec(
      this.#server.container,
      postgresExec(this.#server, ['sh', '-c', CLEAN, 'sh', this.#folder]),
    );
    if (exitCode !== 0) throw stagingError(stderr);
  }
}

function stagingError(why: string): AppError {
  return new AppError({
    code: 'restore/staging',
    what: 'the archive could not be laid down beside the database',
    why: why.trim(),
    hint: 'free some space on the disk, then run the same restore again',
  });
}
