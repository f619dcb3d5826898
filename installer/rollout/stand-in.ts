import { runBeside, up } from '../apply/compose-run.ts';
import { patience, waitForServices } from '../apply/health.ts';
import { type Run, serviceContainers } from '../apply/run.ts';
import { stopAndRemove } from '../apply/stop-containers.ts';
import type { ContainerState } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import { CommandError } from '../host/command-error.ts';
import { takenPorts } from '../host/listeners.ts';
import { LABELS } from '../model/labels.ts';
import { engineName, type StackPort } from '../model/stack.ts';
import { RELAY_SERVICE, type Relay, STAND_IN_FIRST_PORT } from '../model/stand-in.ts';
import { divert, endDiversion, isDiverted, stopDiverting } from './diversion.ts';
import { drainEdge } from './drain-edge.ts';
import { type Diverted, standInRules } from './stand-in-rules.ts';

const ANSWER_SECONDS = 3;
/**
 * How a relay is replaced that nobody stands in for: it takes no connection any more from the moment on at which it
 * is told to end, and each that is open may last.
 */
export const RELAY_ALONE = { recreate: true, stopSeconds: 1 } as const;
/** Exit codes of curl(1): refused, and nothing said in time. */
const NOT_ANSWERED = [7, 28];

/**
 * Replaces the container of a service that publishes ports, while a second one of the new kind answers on them: no
 * connection is refused. Where the second one does not become healthy, nothing has changed for anybody. May be killed
 * at any moment: whoever answers then goes on, and the next apply takes away what is left.
 * @throws AppError `health/…` when the second container, or the new one, cannot take over
 */
export async function recreateBehindStandIn(run: Run, service: string): Promise<void> {
  const isIn = (await isAnswering(run, service)) || (await takeOver(run, service));
  const relay = relayOf(run, service);
  if (isIn) {
    const relayed = relay?.ports.map(({ published }) => published);
    for (const old of await serviceContainers(run, [service])) await drainEdge(run, old, relayed);
  }
  await up(run, [service], { recreate: true });
  await waitForServices(run, [service]);
  if (relay !== undefined) {
    // Nothing goes through it: what it had, the service has ended.
    await up(run, [relay.service], isIn ? { recreate: true } : RELAY_ALONE);
    await waitForServices(run, [relay.service]);
  }
  if (isIn) await endStandIn(run, service);
}

/** What takes connections over IPv6 in front of a service. */
export function relayOf({ desired }: Pick<Run, 'desired'>, service: string): Relay | undefined {
  return desired.standIns.find((one) => one.service === service)?.relay;
}

/** Takes away what a killed apply left, once the service itself answers. */
export async function retireStandIn(run: Run, service: string): Promise<void> {
  await waitForServices(run, [service]);
  await endStandIn(run, service);
}

async function endStandIn(run: Run, service: string): Promise<void> {
  await stopDiverting(run);
  const relayed = relayOf(run, service)?.ports.map(({ through }) => through);
  for (const container of await standInContainers(run, service)) {
    await drainEdge(run, container, relayed);
  }
  await removeStandIn(run, service);
}

/** Whether one that was left by a killed run has the connections. */
async function isAnswering(run: Run, service: string): Promise<boolean> {
  const [container] = await standInContainers(run, service);
  return container?.status === 'running' && (await isDiverted(run));
}

/** @returns false where this machine cannot do it after all, which is said, and nothing is left of the attempt */
async function takeOver(run: Run, service: string): Promise<boolean> {
  const { network, relay } = run.desired.standIns.find((one) => one.service === service) ?? {};
  const definition = run.desired.stack.services[service];
  if (network === undefined || definition === undefined) {
    throw new Error(`nothing says how a stand-in answers for ${service}`);
  }
  await removeStandIn(run, service);
  const ports = await freePorts(run, definition.ports ?? []);
  try {
    await runBeside(run, service, {
      name: `${run.project}-${service}-stand-in`,
      labels: { [LABELS.standIn]: service },
      ports: ports.map(({ through, target }) => `${through}:${target}`),
      ...(relay === undefined ? {} : { addresses: { [relay.network]: relay.address } }),
    });
    const [started] = await standInContainers(run, service);
    if (started === undefined) throw missing(service);
    await run.engine.waitHealthy([started.id], { timeoutSeconds: patience(definition) });
    // Its address is known for sure once it runs.
    const [container = started] = await standInContainers(run, service);
    const address = container.addresses[engineName(run.project, network)];
    const obstacle = relay === undefined ? undefined : await startRelay(run, relay);
    if (address !== undefined && obstacle === undefined) {
      await divert(run, standInRules(address, ports, relay?.ports));
      if (await isReached(run, ports)) return true;
    }
    const whyNot = address === undefined ? 'it has no address' : 'it is not reached';
    warn(run, service, obstacle ?? whyNot);
  } catch (error) {
    if (error instanceof AppError && error.code.startsWith('health/')) {
      await removeStandIn(run, service);
      throw error;
    }
    if (!(error instanceof CommandError) || error.reason === 'connection') throw error;
    warn(run, service, error.message);
  }
  await removeStandIn(run, service);
  return false;
}

/**
 * The stand-in of the relay hands on to that of the service.
 * @returns why it cannot, such as a port that is taken: no reason to leave the service itself as it is
 */
async function startRelay(run: Run, relay: Relay): Promise<string | undefined> {
  try {
    await runRelay(run, relay);
    return undefined;
  } catch (error) {
    if (!(error instanceof AppError) || !error.code.startsWith('health/')) throw error;
    return error.message;
  }
}

async function runRelay(run: Run, { service, command }: Relay): Promise<void> {
  const definition = run.desired.stack.services[service];
  if (definition === undefined) throw new Error(`${service} is not in the stack`);
  const labels = { [LABELS.standIn]: service };
  await runBeside(run, service, {
    name: `${run.project}-${service}-stand-in`,
    labels,
    ports: [],
    command,
  });
  const started = await standInContainers(run, service);
  if (started.length === 0) throw missing(service);
  await run.engine.waitHealthy(
    started.map(({ id }) => id),
    { timeoutSeconds: patience(definition) },
  );
}

function warn(run: Run, service: string, why: string): void {
  run.report({
    kind: 'warning',
    code: 'rollout/no-stand-in',
    text: `no stand-in can answer for ${service} (${why}): new connections are refused for about a second`,
  });
}

function missing(service: string): AppError {
  return new AppError({
    code: 'health/not-started',
    what: `the stand-in of ${service} is gone right after it was started`,
    hint: 'run `holdfast apply` again',
  });
}

async function removeStandIn(run: Run, service: string): Promise<void> {
  await stopDiverting(run);
  const own = await standInContainers(run, service);
  // One may be left where the relay itself is no longer wanted.
  const relays = await standInContainers(run, RELAY_SERVICE);
  await stopAndRemove(
    run,
    [...own, ...relays].map(({ id }) => id),
  );
  // Until here the relay's stand-in has brought its clients the last that nginx said.
  await endDiversion(run);
}

export async function standInContainers(
  { engine, project }: Pick<Run, 'engine' | 'project'>,
  service: string,
): Promise<ContainerState[]> {
  return engine.containers({ [LABELS.project]: project, [LABELS.standIn]: service });
}

async function freePorts(run: Run, published: readonly StackPort[]): Promise<Diverted[]> {
  const taken = await takenPorts(run.host);
  let through = STAND_IN_FIRST_PORT - 1;
  return published
    .filter(({ protocol }) => protocol === 'tcp')
    .map(({ published: port, target }) => {
      do through += 1;
      while (taken.has(through));
      return { published: Number(port), target, through };
    });
}

/** Asked as somebody on this machine asks: the engine may run without the proxy that serves them. */
async function isReached({ host }: Run, [first]: readonly Diverted[]): Promise<boolean> {
  if (first === undefined) return false;
  const { exitCode } = await host.run({
    argv: [
      ...(['curl', '--silent', '--output', '/dev/null', '--noproxy', '*', '--max-time'] as const),
      String(ANSWER_SECONDS),
      `http://127.0.0.1:${first.published}/`,
    ],
    okExitCodes: Array.from({ length: 256 }, (_, code) => code),
  });
  return !NOT_ANSWERED.includes(exitCode);
}
