import { thisProcess } from '../apply/process-identity.ts';
import { rollBackSite } from '../apply/site-rollback.ts';
import { AppError } from '../errors.ts';
import { observeSites } from '../rollout/site-folders.ts';
import { SecretStore } from '../secrets/store.ts';
import { announceOf } from './announce.ts';
import { configInForce } from './applied-config.ts';
import type { ParsedArguments } from './command.ts';
import { consent, refused } from './consent.ts';
import type { CliContext } from './context.ts';
import { wholeNumber } from './parse.ts';
import { appliedContext } from './server-context.ts';

/** `holdfast rollback SITE`: the files that were served before. */
export async function rollback(
  args: ParsedArguments,
  context: CliContext,
  actor: string,
): Promise<number> {
  const [site = '', image] = args.positionals;
  if (image !== undefined || args.flag('list')) {
    throw new AppError({
      code: 'usage/site-release',
      what: `${site} is a site: it goes back to the release that it showed before, and to no other`,
      hint: `holdfast rollback ${site}`,
    });
  }
  const server = await context.open(args.value('host'));
  const known = [...(await observeSites(server.host, context.paths)).keys()].sort();
  if (!known.includes(site)) {
    throw new AppError({
      code: 'usage/unknown-site',
      what: `there is no site ${JSON.stringify(site)} on ${server.host.name}`,
      why: known.length === 0 ? 'it serves no site' : `the sites are ${known.join(', ')}`,
      hint: 'holdfast rollback SITE, with a name from the section sites of the config',
    });
  }
  const { config } = await configInForce(args.value('config'), {
    ...server,
    paths: context.paths,
  });
  const announced = announceOf(config, new SecretStore(server.host, context.paths), context.report);
  const json = args.flag('json');
  let left = '';
  const release = await rollBackSite(
    { ...(await appliedContext(context, server)), ...announced },
    {
      site,
      process: await thisProcess(actor),
      command: `holdfast rollback ${site}`,
      waitSeconds: wholeNumber('wait', args.value('wait') ?? '0', 0, 86_400),
      confirm: async (from, to) => {
        left = from;
        if (!json) context.io.out(`site ${site}: from release ${from} back to ${to}\n`);
        return await consent(args, context, { text: 'Switch? [y/N] ' });
      },
    },
  );
  if (release === undefined) throw refused(args);
  context.io.out(
    json
      ? `${JSON.stringify({ version: 1, site, from: left, release })}\n`
      : `Site ${site} shows release ${release}; the next change of its files takes over.\n`,
  );
  return 0;
}
