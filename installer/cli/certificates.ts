import { withLock } from '../apply/lock.ts';
import { thisProcess } from '../apply/process-identity.ts';
import { edgeFolders } from '../components/nginx/places.ts';
import { env } from '../env.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { CertificatePair } from '../tls/certificate-pair.ts';
import { withCertificates } from '../tls/private-ca.ts';
import { readPrivateCa, storePrivateCa } from '../tls/private-ca-store.ts';
import { appliedAgentSettings } from './applied.ts';
import type { ParsedArguments } from './command.ts';
import { runningContainer } from './containers.ts';
import type { CliContext } from './context.ts';
import { appliedContext } from './server-context.ts';

const NGINX = ['nginx', '-c', '/etc/nginx/holdfast/nginx.conf'] as const;

/**
 * `holdfast certificates renew`: signs what the private authority has to sign anew and reloads nginx.
 * The agent runs it every day; it does nothing while every certificate has more than a third of its life left.
 */
export async function certificatesRenew(
  _args: ParsedArguments,
  context: CliContext,
): Promise<number> {
  const server = await context.open();
  const { host, engine } = server;
  const { paths } = context;
  const { edgeHosts = [], project } = await appliedAgentSettings(host, paths);
  const apply = await appliedContext(context, server);
  return withLock(
    host,
    paths,
    {
      process: await thisProcess(env.sudoUser ?? env.user ?? 'unknown'),
      command: 'holdfast certificates renew',
      waitSeconds: 600,
      clock: apply.clock,
    },
    async () => {
      const before = await readPrivateCa(host, paths);
      if (before.authority === undefined) {
        context.io.out('The certificates are given files: renew them where they come from.\n');
        return 0;
      }
      const after = await withCertificates(before, edgeHosts, {
        now: context.now(),
        name: project,
      });
      await storePrivateCa(host, paths, before, after);
      const folder = edgeFolders(paths).certificates;
      const due = await notServed(host, folder, edgeHosts, after.leaves);
      if (due.length === 0) {
        context.io.out(`${edgeHosts.length} certificates, none is due.\n`);
        return 0;
      }
      for (const name of due) {
        const pair = after.leaves.get(name);
        const key = await host.stat(`${folder}/${name}.key`);
        if (pair === undefined || key === undefined) continue;
        const owner = { uid: key.uid, gid: key.gid };
        await host.write(`${folder}/${name}.key`, pair.key.reveal(), { mode: key.mode, ...owner });
        await host.write(`${folder}/${name}.crt`, pair.certificate, { mode: 0o644, ...owner });
      }
      const nginx = await runningContainer(server, paths, 'nginx');
      for (const flags of [['-t'], ['-s', 'reload']]) {
        const { exitCode, stderr } = await engine.exec(nginx.id, { argv: [...NGINX, ...flags] });
        if (exitCode !== 0) {
          throw new AppError({
            code: 'engine/reload-refused',
            what: 'nginx does not accept the renewed certificates; it goes on with the old ones',
            why: stderr.trim(),
            hint: 'holdfast apply',
          });
        }
      }
      context.io.out(`Renewed: ${due.join(', ')}.\n`);
      return 0;
    },
  );
}

/**
 * Hosts whose files beside nginx are not those of the store: also what a run that was killed between
 * storing and writing left behind.
 */
async function notServed(
  host: Host,
  folder: string,
  names: readonly string[],
  leaves: ReadonlyMap<string, CertificatePair>,
): Promise<string[]> {
  const holds = async (path: string, wanted: string): Promise<boolean> =>
    new TextDecoder().decode(await host.read(path)) === wanted;
  const stale: string[] = [];
  for (const name of names) {
    const pair = leaves.get(name);
    if (pair === undefined) continue;
    const isServed =
      (await holds(`${folder}/${name}.crt`, pair.certificate)) &&
      (await holds(`${folder}/${name}.key`, pair.key.reveal()));
    if (!isServed) stale.push(name);
  }
  return stale;
}
