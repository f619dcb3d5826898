import { peerNetworks } from '../networks.ts';
import { error } from './finding.ts';
import type { Rule } from './rule.ts';

/** Containers that a network has addresses for (`render/subnets.ts`). */
const ADDRESSES = 61;

/**
 * The fewest replicas of a group of peers, and those that a release starts beside one of them, fit into its network.
 * What scaling may bring on top does not count: memory ends it long before, and a scaling that fails is tried again.
 */
export const peersFit: Rule = function* ({ config }) {
  for (const members of peerNetworks(Object.values(config.services)).values()) {
    const fewest = members.map((name) => config.services[name]?.replicas.min ?? 0);
    const sum = fewest.reduce((all, count) => all + count, 0);
    const released = Math.max(...fewest);
    if (sum + released <= ADDRESSES) continue;
    const [first = '', ...others] = members;
    const message = `with its peers ${others.join(', ')} it has at least ${sum} replicas, and ${released} more in a release, and their network has ${ADDRESSES} addresses: lower \`replicas\`, or name fewer \`peers\``;
    yield { ...error('peers-do-not-fit', ['services', first], message), at: 'key' };
  }
};
