import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { Secret } from '../model/secret.ts';

const NAME = /^[A-Z][A-Z0-9_]{0,127}$/;
const FILE = { mode: 0o600, uid: 0, gid: 0 } as const;
const FOLDER = { mode: 0o700, uid: 0, gid: 0 } as const;

/** Ending of the file with the value that a rotation is bringing in. */
const NEXT = '.next';

/**
 * The secrets of one server: a file each, 0600, in a folder of root, 0700. While a secret is rotated, its next
 * value stands beside it and is the one that counts for every reader, so that whoever applies next goes on with it.
 */
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

  /** The value that counts. */
  async get(name: string): Promise<Secret | undefined> {
    return (await this.#read(name, NEXT)) ?? (await this.#read(name, ''));
  }

  /** The value before a rotation that is under way; else the only one. */
  async settled(name: string): Promise<Secret | undefined> {
    return this.#read(name, '');
  }

  /** The value that a rotation is bringing in, its own or that of one that was cut short. */
  async next(name: string): Promise<Secret | undefined> {
    return this.#read(name, NEXT);
  }

  /** Every value that counts, by name. */
  async all(): Promise<ReadonlyMap<string, Secret>> {
    const entries = await this.#host.list(this.#folder);
    const names = entries.filter((name) => NAME.test(name));
    const values = await Promise.all(
      names.map((name) => this.#read(name, entries.includes(`${name}${NEXT}`) ? NEXT : '')),
    );
    return new Map(
      names.flatMap((name, index) => {
        const value = values[index];
        return value === undefined ? [] : [[name, value] as const];
      }),
    );
  }

  /** Keeps a value under a name, durably, in place of the one before. Ends a rotation of it. */
  async store(name: string, value: Secret): Promise<void> {
    await this.#write(name, '', value);
    await this.#host.remove(`${this.#path(name)}${NEXT}`);
  }

  /** Begins a rotation: from here on every reader gets this value. */
  async propose(name: string, value: Secret): Promise<void> {
    await this.#write(name, NEXT, value);
  }

  /** Gives a rotation up: the value before it counts again. */
  async withdraw(name: string): Promise<void> {
    await this.#host.remove(`${this.#path(name)}${NEXT}`);
  }

  async remove(name: string): Promise<void> {
    await this.#host.remove(`${this.#path(name)}${NEXT}`);
    await this.#host.remove(this.#path(name));
  }

  async #read(name: string, ending: string): Promise<Secret | undefined> {
    const bytes = await this.#host.read(`${this.#path(name)}${ending}`);
    if (bytes === undefined) return undefined;
    // A byte order mark at the begin belongs to the value.
    return new Secret(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
  }

  async #write(name: string, ending: string, value: Secret): Promise<void> {
    const path = `${this.#path(name)}${ending}`;
    await this.#host.makeDirectory(this.#folder, FOLDER);
    await this.#host.write(path, value.reveal(), FILE);
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
