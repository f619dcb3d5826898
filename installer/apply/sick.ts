import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import {
  REPLICAS_RESULT,
  type ReplicaResult,
  type ReplicasResult,
} from '../model/replicas-result.ts';
import { answersNow, checksOf } from './health.ts';
import { type Run, servingContainers } from './run.ts';

type SickContext = Parameters<typeof servingContainers>[0];

/** What the agent last saw of each replica; empty before it has looked for the first time. */
export async function readReplicas(host: Host, paths: Paths): Promise<ReplicasResult['services']> {
  const bytes = await host.read(`${paths.agent}/${REPLICAS_RESULT}`);
  if (bytes === undefined) return [];
  return (JSON.parse(new TextDecoder().decode(bytes)) as ReplicasResult).services;
}

/**
 * Names of serving containers that the agent found sick and that do not answer now either: the engine knows only
 * that they run. Where all is well nothing is asked.
 */
export async function notAnswering(context: SickContext): Promise<string[]> {
  const services = await readReplicas(context.host, context.paths);
  const sick = await Promise.all(
    services.map(({ service, replicas }) => stillSick(context, service, replicas)),
  );
  return sick.flat();
}

/**
 * Whether a service was sick before an apply began, and is so yet in the same containers. It is told, and is no reason
 * to go back.
 * @param why how it answered through nginx
 */
export async function isSickItself(run: Run, service: string, why: string): Promise<boolean> {
  const began = run.began.toISOString();
  const services = await readReplicas(run.host, run.paths);
  const replicas = services.find((one) => one.service === service)?.replicas ?? [];
  const before = replicas.filter(({ since }) => since < began);
  if ((await stillSick(run, service, before)).length === 0) return false;
  run.report({
    kind: 'warning',
    code: 'health/front-door',
    text: `${service} was sick before this began and is so yet: ${why}; holdfast logs ${service}`,
  });
  return true;
}

/** Names of those of the replicas that were found sick, serve and do not answer now. */
async function stillSick(
  context: SickContext,
  service: string,
  replicas: readonly ReplicaResult[],
): Promise<string[]> {
  const suspects = replicas.flatMap(({ healthy, id }) => (healthy ? [] : [id]));
  if (suspects.length === 0) return [];
  const names: string[] = [];
  for (const container of await servingContainers(context, service)) {
    if (!suspects.includes(container.id)) continue;
    if (!(await answersNow(context, checksOf(context, service), container)))
      names.push(container.name);
  }
  return names;
}
