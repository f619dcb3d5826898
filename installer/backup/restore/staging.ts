import { Readable } from 'node:stream';
import { AppError } from '../../errors.ts';
import type { BackupObject } from '../manifest.ts';
import { type PostgresServer, postgresExec, runSql } from '../psql.ts';

/**
 * A folder on the volume of the database, 0700: `pg_restore --jobs` needs a file that it can seek in, and this
 * volume is the one place that holds the same data in the clear anyhow. Postgres leaves folders that it does
 * not know alone.
 */
const FOLDER = 'holdfast-restore';

// A fixed text; folder and file arrive as arguments.
const WRITE = 'umask 077; mkdir -p -- "$1" && cat >"$1/$2"';
const CLEAN = 'rm -rf -- "$1"';

export class Staging {
  readonly #server: PostgresServer;
  readonly #folder: string;

  private constructor(server: PostgresServer, folder: string) {
    this.#server = server;
    this.#folder = folder;
  }

  /** Removes what a killed restore left there. */
  static async open(server: PostgresServer): Promise<Staging> {
    const [data = ''] = await runSql(server, 'postgres', 'SHOW data_directory;');
    const staging = new Staging(server, `${data}/${FOLDER}`);
    await staging.clear();
    return staging;
  }

  /** Bytes that are free on the volume. */
  async freeBytes(): Promise<number> {
    const parent = this.#folder.slice(0, this.#folder.lastIndexOf('/'));
    const { stdout } = await this.#run(['df', '--output=avail', '--block-size=1', '--', parent]);
    return Number.parseInt(stdout.split('\n')[1] ?? '', 10) || 0;
  }

  /** Writes an archive and gives its path in the container. */
  async write(object: BackupObject, plain: AsyncIterable<Uint8Array>): Promise<string> {
    const file = object.name.replace(/\.age$/, '');
    const { argv, ...rest } = postgresExec(this.#server, [
      'sh',
      '-c',
      WRITE,
      'sh',
      this.#folder,
      file,
    ]);
    const stdin = Readable.from(plain, { objectMode: false });
    const { stdout, done } = await this.#server.engine.execStream(this.#server.container, {
      argv,
      ...rest,
      stdin,
    });
    stdout.on('error', () => undefined).resume();
    const { exitCode, stderr } = await done;
    if (exitCode !== 0) throw stagingError(stderr);
    const path = `${this.#folder}/${file}`;
    const { stdout: size } = await this.#run(['stat', '--format=%s', '--', path]);
    if (Number(size) !== object.plainSize) {
      throw stagingError(`${file} has ${size.trim()} bytes instead of ${object.plainSize}`);
    }
    return path;
  }

  async clear(): Promise<void> {
    await this.#run(['sh', '-c', CLEAN, 'sh', this.#folder]);
  }

  async #run(
    argv: readonly [string, ...string[]],
  ): Promise<{ readonly stdout: string; readonly stderr: string }> {
    const request = postgresExec(this.#server, argv);
    const result = await this.#server.engine.exec(this.#server.container, request);
    if (result.exitCode !== 0) throw stagingError(result.stderr);
    return result;
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
