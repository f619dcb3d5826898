import type { FileAttributes, Host } from '../host/host.ts';
import type { Reaction } from '../model/contribution.ts';
import type { Paths } from '../model/paths.ts';
import { sha256 } from '../plan/files.ts';
import { reactionKey } from '../plan/reactions.ts';
import { ManifestKeeper, readManifest } from './manifest.ts';

export interface OwnFile extends FileAttributes {
  readonly path: string;
  readonly content: string;
}

/**
 * Replaces files that an apply wrote, outside of an apply, such as certificates. The manifest knows of it
 * before the first one changes, so that no kill makes them look like somebody else's. The caller holds the lock.
 * @param react what the files cause; also called for what a killed run still owes
 * @returns whether anything was done
 */
export async function replaceOwnFiles(
  host: Host,
  paths: Paths,
  { files, reaction, react }: ReplaceRequest,
): Promise<boolean> {
  const manifest = new ManifestKeeper(
    host,
    paths.manifest,
    await readManifest(host, paths.manifest),
  );
  const key = reactionKey(reaction);
  const { pending, intents } = manifest.current;
  const hashes = Object.fromEntries(files.map(({ path, content }) => [path, sha256(content)]));
  if (files.length === 0 && !pending.includes(key)) return false;
  await manifest.update({
    intents: { ...intents, ...hashes },
    pending: [...new Set([...pending, key])],
  });
  for (const { path, content, mode, uid, gid } of files) {
    await host.write(path, content, { mode, uid, gid });
  }
  await manifest.update({ files: { ...manifest.current.files, ...hashes }, intents });
  await react();
  await manifest.settle([key]);
  return true;
}

export interface ReplaceRequest {
  readonly files: readonly OwnFile[];
  readonly reaction: Reaction;
  readonly react: () => Promise<void>;
}
