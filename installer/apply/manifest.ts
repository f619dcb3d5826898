import { z } from 'zod';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { EMPTY_MANIFEST, type Manifest } from '../model/manifest.ts';
import { readText } from './read-text.ts';

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const ManifestSchema = z.strictObject({
  version: z.literal(EMPTY_MANIFEST.version),
  files: z.record(z.string(), Sha256),
  intents: z.record(z.string(), Sha256),
  pending: z.array(z.string()),
  provisions: z.record(z.string(), z.string()),
  images: z.record(z.string(), z.int()).default({}),
  generation: z.int().min(0),
  configDigest: z.string().optional(),
});

type StoredVersion = { readonly version: number };

/** Turns the manifest of version N (the key) into that of version N + 1. */
const MIGRATIONS: Readonly<Record<number, (stored: StoredVersion) => StoredVersion>> = {};

/**
 * The manifest of a server; an empty one where nothing was applied yet.
 * @throws AppError `drift/manifest-unreadable`, `drift/manifest-newer`
 */
export async function readManifest(host: Host, path: string): Promise<Manifest> {
  const text = await readText(host, path);
  if (text === undefined) return EMPTY_MANIFEST;
  const stored = migrate(parseStored(text, path), path);
  const parsed = ManifestSchema.safeParse(stored);
  if (!parsed.success) {
    throw unreadable(path, z.prettifyError(parsed.error), parsed.error);
  }
  const { configDigest, ...rest } = parsed.data;
  return configDigest === undefined ? rest : { ...rest, configDigest };
}

function parseStored(text: string, path: string): StoredVersion {
  try {
    const value: unknown = JSON.parse(text);
    return z.looseObject({ version: z.int() }).parse(value);
  } catch (error) {
    throw unreadable(path, 'it is not the JSON that holdfast wrote', error);
  }
}

function migrate(stored: StoredVersion, path: string): StoredVersion {
  if (stored.version > EMPTY_MANIFEST.version) {
    throw new AppError({
      code: 'drift/manifest-newer',
      what: `${path} was written by a newer holdfast`,
      why: `it has version ${stored.version}, this program knows up to ${EMPTY_MANIFEST.version}`,
      hint: 'install that version of holdfast again: scripts/install.sh',
    });
  }
  let current = stored;
  while (current.version < EMPTY_MANIFEST.version) {
    const step = MIGRATIONS[current.version];
    if (step === undefined) throw unreadable(path, `version ${stored.version} was never in use`);
    current = step(current);
  }
  return current;
}

function unreadable(path: string, why: string, cause?: unknown): AppError {
  return new AppError({
    code: 'drift/manifest-unreadable',
    what: `the record of holdfast's files, ${path}, cannot be read`,
    why,
    hint: '`holdfast apply --adopt` sets it aside, takes over the files that are as the config wants them, and shows the others in the plan',
    cause,
  });
}

/** Keeps a manifest that cannot be read for a person to look at, and makes room for a new one. */
export async function setUnreadableManifestAside(host: Host, path: string): Promise<void> {
  try {
    await readManifest(host, path);
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    const bytes = await host.read(path);
    if (bytes === undefined) return;
    await host.write(`${path}.unreadable`, bytes, { mode: 0o600, uid: 0, gid: 0 });
    await host.remove(path);
  }
}

export function isUnreadable(error: unknown): boolean {
  return error instanceof AppError && error.code === 'drift/manifest-unreadable';
}

/** The manifest while it changes: every update is on disk when its promise resolves. */
export class ManifestKeeper {
  readonly #host: Host;
  readonly #path: string;
  #current: Manifest;

  constructor(host: Host, path: string, current: Manifest) {
    this.#host = host;
    this.#path = path;
    this.#current = current;
  }

  get current(): Manifest {
    return this.#current;
  }

  async update(change: Partial<Manifest>): Promise<void> {
    const next = { ...this.#current, ...change };
    const text = manifestText(next);
    if (text === manifestText(this.#current)) return;
    await this.#host.write(this.#path, text, { mode: 0o600, uid: 0, gid: 0 });
    this.#current = next;
  }

  async settle(keys: readonly string[]): Promise<void> {
    await this.update({ pending: this.#current.pending.filter((key) => !keys.includes(key)) });
  }
}

function manifestText(manifest: Manifest): string {
  const sorted = <V>(record: Readonly<Record<string, V>>): Record<string, V> =>
    Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
  const stored = {
    ...manifest,
    files: sorted(manifest.files),
    intents: sorted(manifest.intents),
    pending: [...manifest.pending].sort(),
    provisions: sorted(manifest.provisions),
    images: sorted(manifest.images),
  };
  return `${JSON.stringify(stored, undefined, 2)}\n`;
}
