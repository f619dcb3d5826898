import { apply as applyServer } from '../apply/apply.ts';
import { thisProcess } from '../apply/process-identity.ts';
import type { Service } from '../components/rules/resolved.ts';
import { env } from '../env.ts';
import { AppError } from '../errors.ts';
import { planText } from '../plan/text.ts';
import { configInForce } from './applied-config.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';
import { colouredPlan } from './display/plan.ts';
import { durationText } from './display/quantity.ts';
import { styleFor } from './display/style.ts';
import { changingOneService } from './one-service.ts';
import { wholeNumber } from './parse.ts';
import { prepare } from './prepare.ts';
import type { LoadedConfig } from './read-config.ts';

/**
 * `holdfast scale SERVICE N`: another number of replicas, within the range of the config, which later applies
 * keep. The agent runs it when the load asks for it.
 */
export async function scale(args: ParsedArguments, context: CliContext): Promise<number> {
  const [name = '', count = ''] = args.positionals;
  const { io, paths, signal } = context;
  const replicas = Number(count);
  const reason = args.value('reason');
  const target = args.value('host');
  const server = await context.open(target);
  const scales = { [name]: replicas };
  const loaded = await configInForce(args.value('config'), {
    host: server.host,
    paths: context.paths,
  });
  const prepared = await prepare(context, server, { loaded, target, scales, isOneService: true });
  refuseOutOfRange(scaledService(loaded, name), replicas);
  const json = args.flag('json');
  const { render, refuseOthers } = changingOneService(
    { service: name, changes: ['scale'], refusal: `the replicas of ${name} are not changed` },
    loaded,
    paths,
    prepared.render,
  );
  const { result, seconds } = await applyServer(prepared.apply, {
    process: await thisProcess(env.sudoUser ?? env.user ?? 'unknown'),
    command: `holdfast scale ${name} ${replicas}${reason === undefined ? '' : ` (${reason})`}`,
    waitSeconds: wholeNumber('wait', args.value('wait') ?? '0', 0, 86_400),
    render,
    interrupt: signal,
    configDigest: async () => loaded.digest,
    confirm: async (plan, desired) => {
      refuseOthers(plan, desired);
      if (!json) io.out(colouredPlan(planText(plan, { diffs: false }), styleFor(io.color)));
      return true;
    },
    keepRendered: prepared.keepRendered,
  });
  if (json) {
    io.out(`${JSON.stringify({ version: 1, service: name, replicas, result, seconds })}\n`);
  } else if (result === 'applied') {
    io.out(`${name} has ${replicas} replicas after ${durationText(seconds)}.\n`);
  } else io.out(`${name} has ${replicas} replicas already.\n`);
  return 0;
}

function scaledService({ config: { services } }: LoadedConfig, name: string): Service {
  const service = Object.hasOwn(services, name) ? services[name] : undefined;
  if (service !== undefined) return service;
  throw new AppError({
    code: 'usage/unknown-service',
    what: `there is no service ${JSON.stringify(name)}`,
    why: `the services are ${Object.keys(services).sort().join(', ')}`,
    hint: 'holdfast status',
  });
}

/** @throws AppError `usage/replicas-out-of-range` */
export function refuseOutOfRange(
  { name, replicas: { min, max } }: Pick<Service, 'name' | 'replicas'>,
  wanted: number,
): void {
  if (Number.isInteger(wanted) && wanted >= min && wanted <= max) return;
  throw new AppError({
    code: 'usage/replicas-out-of-range',
    what: `${name} cannot have so many replicas`,
    why:
      min === max
        ? `the config says that it has ${min}`
        : `the config says that it has ${min} to ${max}`,
    hint: `change services.${name}.replicas in config.yaml and run holdfast apply`,
  });
}
