import { env } from '../env.ts';
import { AppError } from '../errors.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';
import { deploy, rollback } from './deploy.ts';
import { type DeployRights, deployRights, mayDeployImage } from './deploy-key-rights.ts';
import { status } from './status.ts';

/** Seconds that a deploy from elsewhere waits for one that runs. */
const WAIT_SECONDS = '600';
/** Longer than any name of a service and of an image together. */
const LONGEST = 512;

/** What a client may ask for. */
export type DeployWish =
  | { readonly verb: 'deploy'; readonly service: string; readonly image: string }
  | { readonly verb: 'rollback'; readonly service: string }
  | { readonly verb: 'status' };

/** `holdfast deploy-key serve NAME`: the forced command of a key. What the client asked for is in the environment. */
export async function serve(args: ParsedArguments, context: CliContext): Promise<number> {
  const [name = ''] = args.positionals;
  const rights = deployRights(name, args.value('services'), args.value('images'));
  const request = env.sshOriginalCommand ?? '';
  const wish = deployWish(request, rights);
  const actor = `deploy-key:${name}`;
  switch (wish.verb) {
    case 'deploy':
      return deploy(fixedArguments([wish.service, wish.image], request), context, actor);
    case 'rollback':
      return rollback(fixedArguments([wish.service], request), context, actor);
    case 'status':
      return status(fixedArguments([], request), context);
  }
}

/**
 * Reads a request without a shell: words of harmless characters between single spaces, none of them an option.
 * @throws AppError `consent/not-allowed` for everything else
 */
export function deployWish(command: string, rights: DeployRights): DeployWish {
  if (
    command.length > LONGEST ||
    !/^[A-Za-z0-9][A-Za-z0-9._/:@-]*( [A-Za-z0-9][A-Za-z0-9._/:@-]*)*$/.test(command)
  ) {
    throw notAllowed('only plain words are read', rights);
  }
  const [verb = '', service = '', image = '', ...more] = command.split(' ');
  if (verb === 'status' && service === '') return { verb };
  const count = verb === 'deploy' ? image !== '' : image === '';
  if (!['deploy', 'rollback'].includes(verb) || service === '' || !count || more.length > 0) {
    throw notAllowed('it is none of the requests that are answered', rights);
  }
  if (!rights.services.includes(service)) {
    throw notAllowed(`it may not touch ${service}`, rights);
  }
  if (verb === 'rollback') return { verb, service };
  if (!mayDeployImage(rights, image)) {
    throw notAllowed(`images come from ${rights.images.join(', ')}`, rights);
  }
  return { verb: 'deploy', service, image };
}

/** Nobody is there to answer a question, and no option of a client is passed on. */
function fixedArguments(positionals: readonly string[], request: string): ParsedArguments {
  return {
    positionals,
    flag: (name) => name === 'yes',
    value: (name) => (name === 'wait' ? WAIT_SECONDS : undefined),
    // Told to the client, who sends the request itself and nothing else.
    commandLine: () => request,
  };
}

function notAllowed(why: string, { name, services }: DeployRights): AppError {
  return new AppError({
    code: 'consent/not-allowed',
    what: `the key ${name} may not do this`,
    why,
    hint: `ask for one of: deploy SERVICE IMAGE, rollback SERVICE, status; the services are ${services.join(', ')}`,
  });
}
