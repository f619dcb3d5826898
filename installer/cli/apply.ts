import { posix } from 'node:path';
import { type ApplyOutcome, apply as applyServer } from '../apply/apply.ts';
import { thisProcess } from '../apply/process-identity.ts';
import { env } from '../env.ts';
import { EXIT_CODES } from '../errors.ts';
import { BUCKET_SETTINGS } from '../model/bucket-settings.ts';
import { planText } from '../plan/text.ts';
import { keepConfig } from './applied-config.ts';
import { bringCertificates } from './bring-certificates.ts';
import { setBucketsAfterApply } from './buckets.ts';
import type { ParsedArguments } from './command.ts';
import { consent, refused } from './consent.ts';
import type { CliContext } from './context.ts';
import { colouredPlan } from './display/plan.ts';
import { durationText } from './display/quantity.ts';
import { styleFor } from './display/style.ts';
import { frontDoor } from './front-door.ts';
import { wholeNumber } from './parse.ts';
import { planJson } from './plan.ts';
import { prepare, sourceHost } from './prepare.ts';
import { configDigest, readConfig } from './read-config.ts';
import { startAnew } from './start-anew.ts';

/** `holdfast apply`: shows the plan, asks, and makes the server what the config says. */
export async function apply(args: ParsedArguments, context: CliContext): Promise<number> {
  const target = args.value('host');
  const configPath = args.value('config') ?? context.paths.config;
  const server = await context.open(target);
  const loaded = await readConfig(configPath);
  const prepared = await prepare(context, server, {
    loaded,
    event: 'apply',
    refreshImages: args.flag('refresh-images'),
    target,
    upgradesPostgres: true,
  });
  const json = args.flag('json');
  const { out, err, color } = context.io;
  const outcome = await applyServer(prepared.apply, {
    process: await thisProcess(env.sudoUser ?? env.user ?? 'unknown'),
    command: target === undefined ? 'holdfast apply' : `holdfast apply --host ${target}`,
    waitSeconds: wholeNumber('wait', args.value('wait') ?? '0', 0, 86_400),
    render: prepared.render,
    adopt: args.flag('adopt'),
    interrupt: context.signal,
    configDigest: () => configDigest(configPath),
    asksPerson: !args.flag('yes'),
    confirm: async (plan) => {
      const shown = colouredPlan(planText(plan), styleFor(color && !json));
      if (!json) out(shown);
      else if (!args.flag('yes')) err(shown);
      return await consent(args, context, {
        text: `Carry this out on ${server.host.name}? [y/N] `,
      });
    },
    keepRendered: prepared.keepRendered,
    keepConfig: () =>
      keepConfig({ host: server.host, paths: context.paths }, loaded, sourceHost(server, loaded)),
    ...frontDoor(server.host, context),
  });
  if (outcome.result === 'declined') throw refused(args);
  if (outcome.result === 'applied') await bringCertificates(context, server);
  // Its WAL follows nothing that was stored before.
  if (outcome.desired.postgresUpgrade !== undefined && outcome.result === 'applied') {
    await startAnew(context, server);
  }
  const bucketFile = `write-file:${posix.join(context.paths.stack, BUCKET_SETTINGS)}`;
  if (outcome.result === 'applied' && outcome.plan.operations.some(({ id }) => id === bucketFile)) {
    await setBucketsAfterApply(context, server);
  }
  if (json) {
    const { result, seconds, unhealthy } = outcome;
    out(`${JSON.stringify({ ...planJson(outcome.plan), result, seconds, unhealthy })}\n`);
  } else {
    out(endingText(outcome));
    for (const name of outcome.unhealthy) out(`! ${name} is not healthy: holdfast status\n`);
  }
  return outcome.unhealthy.length === 0 ? 0 : EXIT_CODES.health;
}

function endingText({ result, seconds, unhealthy }: ApplyOutcome): string {
  if (result !== 'applied') return 'Nothing to do: the server is as the config says.\n';
  return `Applied in ${durationText(seconds)}. ${healthText(unhealthy)}\n`;
}

/** @param unhealthy containers that were sick before, and that the apply had nothing to do with */
export function healthText(unhealthy: readonly string[]): string {
  return unhealthy.length === 0 ? 'Everything is healthy.' : 'What was changed is healthy.';
}
