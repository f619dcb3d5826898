import type { ReplicaCheck } from '../../installer/model/agent-settings.ts';
import { net } from '../builtins.ts';
import { reasonOf } from '../log.ts';
import { request } from '../net/request.ts';
import type { Replica } from './replica-list.ts';
import type { Outcome } from './standing.ts';

export const WELL: Outcome = { ok: true, why: '' };

/** One question to one replica, on a connection of its own. Undefined when it is too early to say anything. */
export async function askReplica(
  replica: Replica,
  check: ReplicaCheck,
  timeoutSeconds: number,
): Promise<Outcome | undefined> {
  if (check.kind === 'engine') return engineOutcome(replica);
  const { address } = replica;
  if (address === undefined) return failed('it has no address');
  try {
    return check.kind === 'port'
      ? await connects(address, check.port, timeoutSeconds)
      : await answers(address, check, timeoutSeconds);
  } catch (error) {
    return failed(reasonOf(error));
  }
}

function engineOutcome({ health }: Replica): Outcome | undefined {
  if (health === 'starting') return undefined;
  return health === 'unhealthy' ? failed('its health command fails') : WELL;
}

async function answers(
  address: string,
  { port, path, expect }: Extract<ReplicaCheck, { kind: 'http' }>,
  timeoutSeconds: number,
): Promise<Outcome> {
  const url = new URL(`http://${address}:${port}${path}`);
  const { status, body } = await request({ url, method: 'GET', timeoutSeconds });
  if (status < 200 || status >= 400) return failed(`${path} answers ${status}`);
  if (expect !== undefined && !body.includes(expect)) {
    return failed(`${path} answers without the expected text`);
  }
  return WELL;
}

function connects(host: string, port: number, timeoutSeconds: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const end = (outcome: Outcome): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(
      () => end(failed(`port ${port} takes no connection within ${timeoutSeconds} s`)),
      timeoutSeconds * 1_000,
    );
    socket.once('connect', () => end(WELL));
    socket.once('error', (error) => end(failed(`port ${port}: ${error.message}`)));
  });
}

function failed(why: string): Outcome {
  return { ok: false, why };
}
