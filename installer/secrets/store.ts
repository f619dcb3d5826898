import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { Secret } from '../model/secret.ts';

const NAME = /^[A-Z][A-Z0-9_]{0,127}$/;
const FILE = { mode: 0o600, uid: 0, gid: 0 } as const;
const FOLDER = { mode: 0o700, uid: 0, gid: 0 } as const;

/** The secrets of one server: a file each, 0600, in a folder of root, 0700. */
export class SecretStore {
  readonly #host: Host;
  readonly #folder: string;

  constructor(host: Host, paths: Pick<Paths, 'secrets'>) {
    this.#host = host;
    this.#folder = paths.secrets;
  }

  /** Names of the stored secrets, sorted. */
  async names(): Promise<string[]> {
    const entries = await this.#host.list(this.#folder);
    return entries.filter((name) => NAME.test(name));
  }

  async get(name: string): Promise<Secret | undefined> {
    const bytes = await this.#host.read(this.#path(name));
    return bytes === undefined ? undefined : new Secret(new TextDecoder().decode(bytes));
  }

  async all(): Promise<ReadonlyMap<string, Secret>> {
    const names = await this.names();
    const values = await Promise.all(names.map((name) => this.get(name)));
    return new Map(
      names.flatMap((name, index) => {
        const value = values[index];
        return value === undefined ? [] : [[name, value] as const];
      }),
    );
  }

  /** Keeps a value under a name, durably, in place of the one before. */
  async store(name: string, value: Secret): Promise<void> {
    const path = this.#path(name);
    await this.#host.makeDirectory(this.#folder, FOLDER);
    await this.#host.write(path, value.reveal(), FILE);
  }

  async remove(name: string): Promise<void> {
    await this.#host.remove(this.#path(name));
  }

  /** @throws AppError `secret/name` */
  #path(name: string): string {
    if (NAME.test(name)) return `${this.#folder}/${name}`;
    throw new AppError({
      code: 'secret/name',
      what: `${JSON.stringify(name)} is not the name of a secret`,
      why: 'a name has capitals, digits and underscores and starts with a letter',
      hint: 'holdfast secrets list',
    });
  }
}
