import type { Run } from '../apply/run.ts';
import { isAtRest } from '../engine/container-state.ts';
import type { ContainerState } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import type { EdgeStatus } from '../model/edge-status.ts';
import { NGINX } from '../model/nginx-reload.ts';
import { askEdge } from './edge-view.ts';

/** A request may take so long before it is cut off. */
const DRAIN_SECONDS = 30;
/** For what nginx has to end once nobody is being answered: it closes idle connections, and WebSockets do not end by themselves. */
const STOP_SECONDS = 5;
const POLL_SECONDS = 0.2;
/** States in /proc/net/tcp. */
const SYN_RECEIVED = '03';
const LISTENING = '0A';

/**
 * Stops an nginx that gets no new connections any more, once it has answered everybody who had one: clients are told
 * to come again, connections that it has not accepted yet are waited for, and what it is answering ends.
 * @param relayed ports of the host on which a relay takes connections for it
 */
export async function drainEdge(
  run: Run,
  container: ContainerState,
  relayed: readonly number[] = [],
): Promise<void> {
  if (isAtRest(container)) return;
  if (container.status === 'running') {
    // Before clients are told, which takes two seconds: what the relay has just taken has come through by then.
    await waitWhile(run, container, () => hasWaitingAt(run, relayed));
    await tellClients(run, container);
    await waitWhile(run, container, () => isBusy(run, container));
  }
  await run.host.run({
    argv: ['docker', 'container', 'stop', `-t${STOP_SECONDS}`, container.id],
    okExitCodes: [0, 1],
  });
}

/** One that cannot do so any more has nobody to tell. */
async function tellClients({ engine }: Run, { id }: ContainerState): Promise<void> {
  try {
    await engine.exec(id, { argv: NGINX.close });
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'engine/not-running') throw error;
  }
}

async function waitWhile(
  run: Run,
  container: ContainerState,
  isBusy: () => Promise<boolean>,
): Promise<void> {
  const deadline = run.clock.elapsed() + DRAIN_SECONDS * 1000;
  while (await isBusy()) {
    if (run.clock.elapsed() >= deadline) {
      run.report({
        kind: 'warning',
        code: 'rollout/cut-off',
        text: `requests to ${container.name} take longer than ${DRAIN_SECONDS} s: they are cut off`,
      });
      return;
    }
    await run.clock.pause(POLL_SECONDS);
  }
}

async function isBusy(run: Run, container: ContainerState): Promise<boolean> {
  if (await hasWaiting(run, container)) return true;
  const counters = await askEdge(run, container, '/stub_status');
  const status = await askEdge(run, container, '/replicas');
  // It does not answer us, so it answers nobody.
  if (counters === undefined || status === undefined) return false;
  return answering(counters) > webSockets(JSON.parse(status) as EdgeStatus);
}

/** Connections with a request on its way in or out, without the one that asked. */
export function answering(counters: string): number {
  const count = (word: string): number =>
    Number(new RegExp(`${word}: (\\d+)`).exec(counters)?.[1] ?? 0);
  return count('Reading') + count('Writing') - 1;
}

/** They last until somebody ends them: nobody is made to wait for that. */
function webSockets({ inFlight }: EdgeStatus): number {
  return Object.values(inFlight).reduce((sum, one) => sum + one.webSockets, 0);
}

/** Whether a connection is on its way into the container or waits to be accepted: it would be reset. */
async function hasWaiting(run: Run, { pid }: ContainerState): Promise<boolean> {
  if (pid === undefined) return false;
  const table = await run.host.read(`/proc/${pid}/net/tcp`);
  return waitingConnections(new TextDecoder().decode(table ?? new Uint8Array())) > 0;
}

/** The same of a relay, which listens in the host's network over IPv6. */
async function hasWaitingAt({ host }: Run, ports: readonly number[]): Promise<boolean> {
  if (ports.length === 0) return false;
  const table = await host.read('/proc/net/tcp6');
  return waitingConnections(new TextDecoder().decode(table ?? new Uint8Array()), ports) > 0;
}

/**
 * Of a network namespace's `/proc/net/tcp`.
 * @param ports of the namespace that count, where not all do
 */
export function waitingConnections(table: string, ports?: readonly number[]): number {
  return table.split('\n').reduce((sum, line) => {
    const [, local = '', , state, queues = ''] = line.trim().split(/\s+/);
    const port = Number.parseInt(local.split(':')[1] ?? '', 16);
    if (ports !== undefined && !ports.includes(port)) return sum;
    // Of a listening socket the second queue counts the connections that nobody has accepted.
    if (state === LISTENING) return sum + Number.parseInt(queues.split(':')[1] ?? '0', 16);
    return state === SYN_RECEIVED ? sum + 1 : sum;
  }, 0);
}
