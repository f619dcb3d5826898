import type { Run } from '../apply/run.ts';
import type { ContainerState } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import type { EdgeStatus } from '../model/edge-status.ts';
import { LABELS } from '../model/labels.ts';
import type { Maintenance } from '../model/maintenance.ts';

const STATUS_PORT = 8081;

/** nginx looks at the state ten times a second; this is for a machine that swaps. */
const ADOPTION_SECONDS = 15;
const POLL_SECONDS = 0.1;

/** A request may take so long before its old replica is stopped all the same. */
const DRAIN_SECONDS = 30;

type Edge = Pick<Run, 'host' | 'engine' | 'project'>;

/** What every nginx routes by, a stand-in too; without those that do not run or do not answer. */
async function edgeStatuses(run: Edge): Promise<EdgeStatus[]> {
  const all = await run.engine.containers({ [LABELS.project]: run.project });
  const edges = all.filter(
    ({ service, labels }) => service === 'nginx' || labels[LABELS.standIn] === 'nginx',
  );
  const answers = await Promise.all(edges.map((nginx) => askEdge(run, nginx, '/replicas')));
  return answers.flatMap((answer) =>
    answer === undefined ? [] : [JSON.parse(answer) as EdgeStatus],
  );
}

/** What an nginx says on its internal port; undefined while it does not run or does not answer. */
export async function askEdge(
  run: Pick<Run, 'host'>,
  { status, addresses }: ContainerState,
  path: '/replicas' | '/stub_status',
): Promise<string | undefined> {
  const address = Object.values(addresses).find((one) => one !== '');
  if (status !== 'running' || address === undefined) return undefined;
  const { exitCode, stdout } = await run.host.run({
    argv: [
      'curl',
      '--silent',
      '--fail',
      '--noproxy',
      '*',
      '--max-time',
      '5',
      `http://${address}:${STATUS_PORT}${path}`,
    ],
    okExitCodes: CURL_FAILURES,
    timeoutSeconds: 15,
  });
  return exitCode === 0 ? stdout : undefined;
}

/** All of curl(1)'s exit codes. */
const CURL_FAILURES = Array.from({ length: 100 }, (_, code) => code);

/**
 * Resolves when every new request for the service goes to these containers and no other one; at once while
 * nginx is down or does not route to the service.
 * @throws AppError `health/edge-not-following`
 */
export async function waitForAdoption(
  run: Run,
  service: string,
  containers: readonly string[],
): Promise<void> {
  const deadline = run.clock.elapsed() + ADOPTION_SECONDS * 1000;
  for (;;) {
    const listed = (await edgeStatuses(run)).flatMap(({ services }) => {
      const own = services[service];
      return own === undefined ? [] : [own];
    });
    const names = [...new Set(listed.flatMap((one) => Object.keys(one)))];
    const hasAll = listed.every((one) => Object.keys(one).length > 0);
    if (hasAll && names.every((name) => containers.includes(name))) return;
    if (run.clock.elapsed() >= deadline) {
      throw new AppError({
        code: 'health/edge-not-following',
        what: `nginx does not send the requests for ${service} to ${containers.join(', ')}`,
        why: `after ${ADOPTION_SECONDS} s it still sends them to ${names.join(', ') || 'nobody'}`,
        hint: '`holdfast logs nginx` tells what it cannot read or resolve',
      });
    }
    await run.clock.pause(POLL_SECONDS);
  }
}

/**
 * Resolves when every new request meets what is closed for maintenance, or open again; at once while nginx is down.
 * @param wanted undefined where nothing is closed
 * @throws AppError `health/edge-not-following`
 */
export async function waitForMaintenance(
  run: Edge & Pick<Run, 'clock'>,
  wanted: Maintenance | undefined,
): Promise<void> {
  const deadline = run.clock.elapsed() + ADOPTION_SECONDS * 1000;
  for (;;) {
    const statuses = await edgeStatuses(run);
    if (statuses.some(({ maintenance }) => maintenance === undefined)) {
      throw new AppError({
        code: 'health/edge-not-following',
        what: 'nginx runs with files of an earlier version, which does not tell what is closed',
        why: 'the page and the switch are written; guests are not known there',
        hint: 'holdfast apply',
      });
    }
    if (statuses.every((status) => isClosedAs(status, wanted))) return;
    if (run.clock.elapsed() >= deadline) {
      throw new AppError({
        code: 'health/edge-not-following',
        what: `nginx does not follow: maintenance is ${wanted === undefined ? 'off' : 'on'}, but not there`,
        why: `it has not looked at its files for ${ADOPTION_SECONDS} s`,
        hint: '`holdfast logs nginx` tells what it cannot read; `holdfast apply` brings it up to date',
      });
    }
    await run.clock.pause(POLL_SECONDS);
  }
}

function isClosedAs(
  { maintenance, services }: EdgeStatus,
  wanted: Maintenance | undefined,
): boolean {
  const words = (list: readonly string[] = []): string => list.toSorted().join(' ');
  const routed = wanted?.services.filter((name) => Object.hasOwn(services, name));
  return (
    maintenance !== undefined &&
    maintenance.all === (wanted?.all ?? false) &&
    words(maintenance.services.split(' ')) === words(routed) &&
    (wanted === undefined || words(maintenance.guests.split(' ')) === words(wanted.guests))
  );
}

/**
 * Resolves when no nginx sends requests to these containers any more and none is on its way, or after 30 s. WebSockets
 * are not waited for: the program closes them when it is told to end.
 * @param isGivenUp looked at again and again: then nobody waits any more
 */
export async function drain(
  run: Run,
  containers: readonly string[],
  isGivenUp: () => boolean = () => false,
): Promise<void> {
  if (containers.length === 0) return;
  const deadline = run.clock.elapsed() + DRAIN_SECONDS * 1000;
  for (;;) {
    const statuses = await edgeStatuses(run);
    const busy = containers.filter((name) =>
      statuses.some((status) => isListed(status, name) || isAnswering(status, name)),
    );
    if (busy.length === 0 || isGivenUp()) return;
    if (run.clock.elapsed() >= deadline) {
      run.report({
        kind: 'warning',
        code: 'rollout/cut-off',
        text: busy.some((name) => statuses.some((status) => isListed(status, name)))
          ? `nginx goes on sending requests to ${busy.join(', ')} after ${DRAIN_SECONDS} s: they are cut off`
          : `requests to ${busy.join(', ')} take longer than ${DRAIN_SECONDS} s: they are cut off`,
      });
      return;
    }
    await run.clock.pause(POLL_SECONDS);
  }
}

/** The list may have been written a moment ago: until nginx has read it, the next request goes where it went. */
function isListed({ services }: EdgeStatus, container: string): boolean {
  return Object.values(services).some((replicas) => replicas[container]?.state === 'up');
}

function isAnswering({ inFlight }: EdgeStatus, container: string): boolean {
  return (inFlight[container]?.requests ?? 0) > 0;
}
