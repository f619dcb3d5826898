import { posix } from 'node:path';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { Secret } from '../model/secret.ts';
import type { CertificatePair } from './certificate-pair.ts';
import type { PrivateCa } from './private-ca.ts';

const ROOT_ONLY = { uid: 0, gid: 0 } as const;

/** Where the certificate stands that clients are told to trust. */
export function authorityFile(paths: Paths): string {
  return posix.join(folder(paths), 'ca.crt');
}

/** The authority of a server as far as it is there. */
export async function readPrivateCa(host: Host, paths: Paths): Promise<PrivateCa> {
  const [key, certificate, leaves] = await Promise.all([
    readText(host, posix.join(folder(paths), 'ca.key')),
    readText(host, authorityFile(paths)),
    readLeaves(host, leafFolder(paths)),
  ]);
  // A certificate whose key is gone cannot sign; an empty key makes that plain to whoever wants to.
  const authority =
    key === undefined && certificate === undefined
      ? undefined
      : { key: new Secret(key ?? ''), certificate };
  return { authority, leaves };
}

async function readLeaves(
  host: Host,
  leafPath: string,
): Promise<ReadonlyMap<string, CertificatePair>> {
  const names = (await host.list(leafPath))
    .filter((name) => name.endsWith('.crt'))
    .map((name) => name.slice(0, -'.crt'.length));
  const pairs = await Promise.all(
    names.map(async (name) => {
      const certificate = await readText(host, posix.join(leafPath, `${name}.crt`));
      const key = await readText(host, posix.join(leafPath, `${name}.key`));
      if (certificate === undefined || key === undefined) return [];
      return [[name, { certificate, key: new Secret(key) }] as const];
    }),
  );
  return new Map(pairs.flat());
}

/**
 * Writes what `after` has and `before` has not. May be killed anywhere: a key is on the disk before the
 * certificate that needs it, and a half-written pair is issued anew.
 */
export async function storePrivateCa(
  host: Host,
  paths: Paths,
  before: PrivateCa,
  after: PrivateCa,
): Promise<void> {
  const { authority } = after;
  if (authority?.certificate === undefined) return;
  const directory = { mode: 0o700, ...ROOT_ONLY };
  await host.makeDirectory(folder(paths), directory);
  await host.makeDirectory(leafFolder(paths), directory);
  const write = (path: string, text: string, mode: number) =>
    host.write(path, text, { mode, ...ROOT_ONLY });

  if (before.authority === undefined) {
    await write(posix.join(folder(paths), 'ca.key'), authority.key.reveal(), 0o600);
  }
  if (before.authority?.certificate === undefined) {
    await write(authorityFile(paths), authority.certificate, 0o644);
  }
  for (const [name, pair] of after.leaves) {
    if (before.leaves.get(name)?.certificate === pair.certificate) continue;
    await write(posix.join(leafFolder(paths), `${name}.key`), pair.key.reveal(), 0o600);
    await write(posix.join(leafFolder(paths), `${name}.crt`), pair.certificate, 0o644);
  }
}

async function readText(host: Host, path: string): Promise<string | undefined> {
  const bytes = await host.read(path);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

function folder(paths: Paths): string {
  return posix.join(paths.tls, 'private-ca');
}

function leafFolder(paths: Paths): string {
  return posix.join(folder(paths), 'hosts');
}
