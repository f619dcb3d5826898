import { apply as applyServer } from '../apply/apply.ts';
import { readLockFile } from '../apply/lock-file.ts';
import { thisProcess } from '../apply/process-identity.ts';
import { CLOUDFLARE_NETWORKS, trustsCloudflare } from '../components/cloudflare.ts';
import { FILES_OF_PROXIES } from '../components/nginx/relay.ts';
import { env } from '../env.ts';
import { AppError } from '../errors.ts';
import type { Operation, Plan } from '../model/operation.ts';
import type { Paths } from '../model/paths.ts';
import { RELAY_SERVICE } from '../model/stand-in.ts';
import { planText } from '../plan/text.ts';
import { configInForce } from './applied-config.ts';
import { type ListUrls, publishedNetworks } from './cloudflare-lists.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';
import { prepare } from './prepare.ts';

/** Waits this long for an apply or a deploy, seconds. */
const LOCK_SECONDS = 600;

/**
 * `holdfast cloudflare refresh`: the networks of its proxies as published now, kept in the lock file from then on.
 * The agent runs it every day where the config trusts Cloudflare. nginx reloads only when the list changed.
 * @param urls for tests: other places than Cloudflare's
 */
export async function cloudflareRefresh(
  args: ParsedArguments,
  context: CliContext,
  urls?: ListUrls,
): Promise<number> {
  const { io, paths, signal } = context;
  const target = args.value('host');
  const server = await context.open(target);
  const loaded = await configInForce(args.value('config'), { host: server.host, paths });
  if (!trustsCloudflare(loaded.config)) {
    io.out('Nothing of this config depends on Cloudflare.\n');
    return 0;
  }
  const { cloudflare: known = CLOUDFLARE_NETWORKS } = await readLockFile(server.host, paths.lock);
  const published = await publishedNetworks(known, urls);
  if (isSame(known, published)) {
    io.out(`Cloudflare has the same ${known.length} networks as before.\n`);
    return 0;
  }
  const prepared = await prepare(context, server, { loaded, target, cloudflare: published });
  await applyServer(prepared.apply, {
    process: await thisProcess(env.sudoUser ?? env.user ?? 'unknown'),
    command: 'holdfast cloudflare refresh',
    waitSeconds: LOCK_SECONDS,
    render: prepared.render,
    interrupt: signal,
    configDigest: async () => loaded.digest,
    confirm: async (plan) => {
      refuseOtherThanNetworks(plan, paths);
      io.out(planText(plan));
      return true;
    },
    keepRendered: prepared.keepRendered,
  });
  io.out(`${published.length} networks of Cloudflare are trusted now.\n`);
  return 0;
}

function isSame(known: readonly string[], published: readonly string[]): boolean {
  return known.length === published.length && known.every((one) => published.includes(one));
}

/**
 * Nothing else is brought along: least of all what a person has not looked at.
 * @throws AppError `config/not-applied`
 */
export function refuseOtherThanNetworks({ operations }: Plan, paths: Paths): void {
  const others = operations.filter((operation) => !isOfNetworks(operation, paths));
  if (others.length === 0) return;
  throw new AppError({
    code: 'config/not-applied',
    what: 'the networks of Cloudflare are not changed while other changes wait',
    why: others.map(({ id }) => id).join('\n'),
    hint: 'holdfast apply',
  });
}

function isOfNetworks(operation: Operation, { lock, stack }: Paths): boolean {
  switch (operation.kind) {
    case 'write-file':
      return [
        lock,
        ...['nginx/nginx.conf', 'firewall/rules.nft', ...FILES_OF_PROXIES].map(
          (file) => `${stack}/${file}`,
        ),
      ].includes(operation.path);
    case 'reload':
      return operation.service === 'nginx' || operation.service === RELAY_SERVICE;
    case 'host-command':
      return true;
    default:
      return false;
  }
}
