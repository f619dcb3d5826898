import { posix } from 'node:path';
import { thisProcess } from '../apply/process-identity.ts';
import { uninstall as uninstallServer } from '../apply/uninstall.ts';
import { env } from '../env.ts';
import type { ParsedArguments } from './command.ts';
import { consent, refused } from './consent.ts';
import type { CliContext } from './context.ts';
import { removeAllDeployKeys } from './deploy-key.ts';
import { leftoverContext } from './server-context.ts';

/** `holdfast uninstall`: keeps data; with `--purge` everything of ours goes. */
export async function uninstall(args: ParsedArguments, context: CliContext): Promise<number> {
  const purge = args.flag('purge');
  const server = await context.open();
  const apply = await leftoverContext(context, server);
  const done = await uninstallServer(apply, {
    process: await thisProcess(env.sudoUser ?? env.user ?? 'unknown'),
    waitSeconds: 0,
    purge,
    images: purge,
    confirm: async (plan) => {
      context.io.out(
        `${plan.containers.length} containers and ${plan.networks.length} networks go.\n`,
      );
      if (purge)
        context.io.out(
          `For ever, with their data: ${[...plan.volumes, ...plan.paths].join(', ')}\n`,
        );
      else context.io.out(`Kept: ${plan.kept.join(', ')}\n`);
      return await consent(args, context, {
        text: purge
          ? `Type the name of the project (${apply.project}) to remove everything: `
          : 'Go on? [y/N] ',
        ...(purge ? { word: apply.project } : {}),
      });
    },
  });
  if (done === undefined) throw refused(args);
  if (purge) {
    const programHome = posix.dirname(context.paths.program);
    await removeAllDeployKeys(server.host, context.paths);
    await server.host.remove(context.paths.launcher);
    await server.host.remove(programHome, { recursive: true });
    await server.host.remove(posix.join('/', env.root, 'var/cache/holdfast'), { recursive: true });
  }
  context.io.out(
    purge ? 'holdfast is gone from this machine.\n' : 'The stack is down; its data is kept.\n',
  );
  return 0;
}
