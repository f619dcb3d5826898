import { type Run, serviceContainers } from '../apply/run.ts';
import type { ContainerState } from '../engine/engine.ts';
import { connectNetwork, disconnectNetwork } from '../engine/objects.ts';
import type { RolledService } from '../model/contribution.ts';
import { engineName } from '../model/stack.ts';

/**
 * Gives containers the name of their service on the networks of its peers. Docker adds a name only by attaching
 * anew, so this comes before they get requests.
 * @returns whether anything had to be attached
 */
export async function takeNameAmongPeers(
  run: Run,
  { service, peerNetworks }: RolledService,
  containers: readonly ContainerState[],
): Promise<boolean> {
  let isChanged = false;
  for (const name of peerNetworks) {
    const network = engineName(run.project, name);
    const all = await serviceContainers(run, [service]);
    for (const { id, networks, aliases } of all) {
      if (!containers.some((one) => one.id === id)) continue;
      if (aliases[network]?.includes(service) === true) continue;
      if (networks.includes(network)) await run.host.run(disconnectNetwork(network, id));
      await run.host.run(connectNetwork(network, id, service));
      isChanged = true;
    }
  }
  return isChanged;
}
