import { apply as applyServer } from '../apply/apply.ts';
import { thisProcess } from '../apply/process-identity.ts';
import { env } from '../env.ts';
import { AppError, EXIT_CODES } from '../errors.ts';
import type { Pin } from '../images/services.ts';
import type { Observed } from '../plan/observed.ts';
import { planText } from '../plan/text.ts';
import { observeSites } from '../rollout/site-folders.ts';
import { configInForce } from './applied-config.ts';
import type { ParsedArguments } from './command.ts';
import { consent, refused } from './consent.ts';
import type { CliContext } from './context.ts';
import { colouredPlan } from './display/plan.ts';
import { durationText } from './display/quantity.ts';
import { styleFor } from './display/style.ts';
import { frontDoor } from './front-door.ts';
import { changingOneService } from './one-service.ts';
import { wholeNumber } from './parse.ts';
import { planJson } from './plan.ts';
import { prepare } from './prepare.ts';
import type { LoadedConfig } from './read-config.ts';
import { listReleases, wayBack } from './releases.ts';
import { rollback as rollbackSite } from './rollback.ts';

/**
 * `holdfast deploy SERVICE IMAGE`: a new release beside the old one, and a switch once it is healthy. The image
 * is kept beside the config until the config's own image changes.
 */
export async function deploy(
  args: ParsedArguments,
  context: CliContext,
  actor = caller(),
): Promise<number> {
  const [service = '', image = ''] = args.positionals;
  requireVersion(image);
  return releaseImage(args, context, {
    service,
    actor,
    command: `holdfast deploy ${service} ${image}`,
    pin: () => ({ image, isRollback: false }),
  });
}

/**
 * `holdfast rollback NAME [IMAGE]`: the release that served before, or the one named. Stopped containers of it start
 * again.
 */
export async function rollback(
  args: ParsedArguments,
  context: CliContext,
  actor = caller(),
): Promise<number> {
  const [service = '', wanted] = args.positionals;
  const { host } = await context.open(args.value('host'));
  if ((await observeSites(host, context.paths)).has(service))
    return rollbackSite(args, context, actor);
  if (args.flag('list')) return listReleases(service, args, context, host);
  return releaseImage(args, context, {
    service,
    actor,
    command: `holdfast rollback ${service}${wanted === undefined ? '' : ` ${wanted}`}`,
    pin: (observed) => ({ image: wayBack(observed, service, wanted), isRollback: true }),
  });
}

function caller(): string {
  return env.sudoUser ?? env.user ?? 'unknown';
}

interface ReleaseRequest {
  readonly service: string;
  /** Who asks, for the lock and the audit log. */
  readonly actor: string;
  readonly command: string;
  readonly pin: (observed: Observed) => Pin;
}

async function releaseImage(
  args: ParsedArguments,
  context: CliContext,
  { service, actor, command, pin }: ReleaseRequest,
): Promise<number> {
  const server = await context.open(args.value('host'));
  const loaded = await configInForce(args.value('config'), {
    host: server.host,
    paths: context.paths,
  });
  requireService(loaded, service);
  const prepared = await prepare(context, server, {
    loaded,
    isOneService: true,
    pins: (observed) => ({ [service]: pin(observed) }),
  });
  const { render, refuseOthers } = changingOneService(
    {
      service,
      changes: ['create', 'start', 'release', 'scale'],
      refusal: `there is no other release of ${service}`,
    },
    loaded,
    context.paths,
    prepared.render,
  );
  const json = args.flag('json');
  const show = (text: string): void => {
    if (!json) context.io.out(text);
  };
  const outcome = await applyServer(prepared.apply, {
    process: await thisProcess(actor),
    command,
    waitSeconds: wholeNumber('wait', args.value('wait') ?? '0', 0, 86_400),
    render,
    interrupt: context.signal,
    configDigest: async () => loaded.digest,
    asksPerson: !args.flag('yes'),
    confirm: async (plan, desired) => {
      refuseOthers(plan, desired);
      show(colouredPlan(planText(plan), styleFor(context.io.color)));
      return await consent(args, context, {
        text: `Release this on ${server.host.name}? [y/N] `,
      });
    },
    keepRendered: prepared.keepRendered,
    verify: frontDoor(server.host, context, { service }).verify,
  });
  const { result, seconds, unhealthy } = outcome;
  if (result === 'declined') throw refused(args);
  if (json) {
    context.io.out(
      `${JSON.stringify({ ...planJson(outcome.plan), result, seconds, unhealthy })}\n`,
    );
  } else {
    const reference = outcome.desired.stack.services[service]?.image ?? '';
    const endings = {
      unchanged: `${service} runs ${reference} already.\n`,
      applied: `${service} runs ${reference} after ${durationText(seconds)}.\n`,
    };
    show(endings[result]);
  }
  return unhealthy.length === 0 ? 0 : EXIT_CODES.health;
}

/** The same rule as for a config: a name without a version is another image every day. */
function requireVersion(image: string): void {
  const isName = /^[a-z0-9][a-zA-Z0-9._/:@-]*$/.test(image);
  const tag = /:([\w][\w.-]*)$/.exec(image)?.[1];
  if (isName && (image.includes('@sha256:') || (tag !== undefined && tag !== 'latest'))) return;
  throw new AppError({
    code: 'usage/image',
    what: `${JSON.stringify(image)} names no version of an image`,
    hint: 'holdfast deploy api ghcr.io/acme/api:1.4.2, or a digest: ghcr.io/acme/api@sha256:…',
  });
}

function requireService({ config }: LoadedConfig, service: string): void {
  if (Object.hasOwn(config.services, service)) return;
  throw new AppError({
    code: 'usage/unknown-service',
    what: `there is no service ${JSON.stringify(service)} in the config`,
    why: `the services are ${Object.keys(config.services).join(', ')}`,
    hint: 'holdfast status',
  });
}
