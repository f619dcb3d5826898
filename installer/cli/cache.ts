import { posix } from 'node:path';
import { CACHE_PREFIX } from '../components/edge-cache/folders.ts';
import { edgeFolders } from '../components/nginx/places.ts';
import { AppError } from '../errors.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';

/**
 * `holdfast cache purge [HOST]`: the next request for anything goes to the origin. nginx takes a file that is
 * gone for one that it never had.
 */
export async function cachePurge(args: ParsedArguments, context: CliContext): Promise<number> {
  const { host } = await context.open(args.value('host'));
  const [name] = args.positionals;
  const parent = edgeFolders(context.paths).bodies;
  const all = (await host.list(parent)).filter((entry) => entry.startsWith(CACHE_PREFIX));
  const chosen = name === undefined ? all : all.filter((entry) => entry === CACHE_PREFIX + name);
  if (name !== undefined && chosen.length === 0) {
    throw new AppError({
      code: 'usage/no-cache',
      what: `there is no edge cache ${name}`,
      why: `there are ${all.map((entry) => entry.slice(CACHE_PREFIX.length)).join(', ') || 'none'}`,
      hint: 'holdfast cache purge',
    });
  }
  for (const folder of chosen) {
    // The folder itself stays: nginx makes it only when it starts.
    for (const entry of await host.list(posix.join(parent, folder))) {
      await host.remove(posix.join(parent, folder, entry), { recursive: true });
    }
    context.io.out(`${folder.slice(CACHE_PREFIX.length)}: emptied\n`);
  }
  return 0;
}
