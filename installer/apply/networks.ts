import {
  connectNetwork as connection,
  createNetwork as creation,
  disconnectNetwork as disconnection,
  removeNetwork as removal,
} from '../engine/objects.ts';
import { AppError } from '../errors.ts';
import { LABELS } from '../model/labels.ts';
import type { NetworkMembers } from '../model/operation.ts';
import type { NetworkOperation } from '../plan/networks.ts';
import type { Run } from './run.ts';

type EngineContext = Pick<Run, 'host' | 'engine' | 'project'>;

/** Carries out one operation on a network; may be repeated after a kill. */
export async function changeNetwork(
  context: EngineContext,
  operation: NetworkOperation,
): Promise<void> {
  switch (operation.kind) {
    case 'create-network':
      return createNetwork(context, operation);
    case 'connect-network':
      return connectNetwork(context, operation);
    case 'disconnect-network':
      return disconnectNetwork(context, operation);
    case 'remove-network':
      return removeNetwork(context, operation);
  }
}

async function createNetwork(
  { host, engine, project }: EngineContext,
  { network, subnet, internal }: Extract<NetworkOperation, { kind: 'create-network' }>,
): Promise<void> {
  const isThere = async (): Promise<boolean> => {
    const all = await engine.networks({ [LABELS.project]: project });
    return all.some((one) => one.name === network && one.subnet === subnet);
  };
  if (await isThere()) return;
  const { stderr } = await host.run({
    ...creation({ project, name: network, subnet, internal }),
    okExitCodes: [0, 1],
  });
  if (await isThere()) return;
  throw new AppError({
    code: 'engine/network-missing',
    what: `the engine does not create the network ${network} with ${subnet}`,
    why: stderr.trim(),
    hint: '`docker network ls` and `ip route` show who has that name or those addresses; free them and run the same command again',
  });
}

async function connectNetwork(
  context: EngineContext,
  { network, service, containers, address }: Extract<NetworkOperation, { kind: 'connect-network' }>,
): Promise<void> {
  const lacking = async (): Promise<string[]> => {
    const attached = await attachedTo(context, network);
    return containers.filter((id) => !attached.has(id));
  };
  let answer = '';
  for (const id of await lacking()) {
    const command = connection(network, id, service, address);
    answer += (await context.host.run({ ...command, okExitCodes: [0, 1] })).stderr;
  }
  if ((await lacking()).length === 0) return;
  throw new AppError({
    code: 'engine/network-not-connected',
    what: `the engine does not connect ${service} to the network ${network}`,
    why: answer.trim(),
    hint: `correct what the message says and run \`holdfast apply\` again; \`holdfast logs ${service}\` shows more`,
  });
}

async function disconnectNetwork(
  context: EngineContext,
  { network, service, containers }: NetworkMembers,
): Promise<void> {
  const attached = async (): Promise<string[]> => {
    const ids = await attachedTo(context, network);
    return containers.filter((id) => ids.has(id));
  };
  let answer = '';
  for (const id of await attached()) {
    const command = disconnection(network, id);
    answer += (await context.host.run({ ...command, okExitCodes: [0, 1] })).stderr;
  }
  if ((await attached()).length === 0) return;
  throw new AppError({
    code: 'engine/network-stays',
    what: `the engine does not take ${service} off the network ${network}`,
    why: answer.trim(),
    hint: `\`docker network inspect ${network}\` shows who is attached; correct it and run the same command again`,
  });
}

async function attachedTo(
  { engine, project }: EngineContext,
  network: string,
): Promise<ReadonlySet<string>> {
  const containers = await engine.containers({ [LABELS.project]: project });
  return new Set(
    containers.flatMap(({ id, networks }) => (networks.includes(network) ? [id] : [])),
  );
}

export async function removeNetwork(
  { host, engine, project }: EngineContext,
  { network }: { readonly network: string },
): Promise<void> {
  const { stderr } = await host.run({ ...removal(network), okExitCodes: [0, 1] });
  const left = await engine.networks({ [LABELS.project]: project });
  if (!left.some(({ name }) => name === network)) return;
  throw new AppError({
    code: 'engine/network-stays',
    what: `the engine does not remove the network ${network}`,
    why: stderr.trim(),
    hint: `\`docker network inspect ${network}\` shows which container is attached; disconnect it and run the same command again`,
  });
}
