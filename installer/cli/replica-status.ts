import { readReplicas } from '../apply/sick.ts';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import type { ScalingResult, ServiceReplicas } from '../model/replicas-result.ts';

/** What the agent sees of a service beyond what the engine says. */
export interface WatchedStatus {
  /** Replicas that do not answer as they should. */
  readonly sick: readonly {
    readonly container: string;
    readonly since: string;
    readonly why: string;
    /** Whether nginx sends it requests all the same, because it is the last one. */
    readonly serving: boolean;
  }[];
  /** Why the deep health path of a replica fails. */
  readonly deep: readonly { readonly container: string; readonly why: string }[];
  /** Restarts of sick replicas by the agent, ever. */
  readonly restarts: number;
  readonly scaling?: ScalingResult;
}

/** By service; empty before the agent has looked for the first time. */
export async function watchedStatus(
  host: Host,
  paths: Paths,
): Promise<ReadonlyMap<string, WatchedStatus>> {
  const services = await readReplicas(host, paths);
  return new Map(services.map((service) => [service.service, statusOf(service)]));
}

function statusOf({ replicas, restarts, scaling }: ServiceReplicas): WatchedStatus {
  return {
    sick: replicas
      .filter(({ healthy }) => !healthy)
      .map(({ container, since, why, serving }) => ({
        container,
        since,
        why,
        serving: serving === true,
      })),
    deep: replicas.flatMap(({ container, deepWhy }) =>
      deepWhy === undefined ? [] : [{ container, why: deepWhy }],
    ),
    restarts,
    ...(scaling === undefined ? {} : { scaling }),
  };
}

/** One sentence for everything of a service that a person should look at. */
export function watchedProblems(service: string, { sick, deep, scaling }: WatchedStatus): string[] {
  return [
    ...sick.map(({ container, why, serving }) => {
      const still = serving ? '; as the last one it still gets requests' : '';
      return `${container} of ${service} is sick: ${why}${still}`;
    }),
    ...deep.map(({ container, why }) => `${container} of ${service} is not well below: ${why}`),
    ...(scaling?.blocked === undefined
      ? []
      : [`${service} gets no more replicas: ${scaling.blocked}`]),
    ...(scaling?.last?.ok === false
      ? [`${service} could not go to ${scaling.last.to} replicas: holdfast agent status`]
      : []),
  ];
}

/** How a service with a range of replicas is doing, for one line. */
export function scalingText(
  { min, max, cpuPercent, last }: ScalingResult,
  ago: (time: string) => string,
): string {
  const use = cpuPercent === undefined ? '' : `, CPU ${Math.round(cpuPercent)} %`;
  const change =
    last === undefined ? '' : `, ${last.from} → ${last.to} ${ago(last.at)}: ${last.reason}`;
  return `${min} to ${max} replicas${use}${change}`;
}
