import { error } from './finding.ts';
import { didYouMean } from './nearest.ts';
import type { Rule } from './rule.ts';
import { uniqueNames } from './unique-names.ts';

/** Nodes are told apart, and together they do all that one machine would. */
export const nodesFit: Rule = function* ({ file, declared }) {
  const { nodes } = file;
  yield* uniqueNames(nodes, ['nodes'], 'node');
  for (const [index, node] of nodes.entries()) {
    if (nodes.findIndex((other) => other.host === node.host) < index) {
      yield error(
        'duplicate-host',
        ['nodes', index, 'host'],
        `there is a node at ${node.host} already`,
      );
    }
  }
  if (nodes.length > 0) {
    for (const role of ['edge', 'app'] as const) {
      if (!nodes.some((node) => node.roles.includes(role))) {
        yield error('missing-role', ['nodes'], `no node has the role ${role}`);
      }
    }
  }
  for (const role of ['db-primary', 'redis-primary'] as const) {
    const holders = nodes.flatMap((node, index) => (node.roles.includes(role) ? [index] : []));
    const second = holders[1];
    if (second !== undefined) {
      const first = nodes[holders[0] ?? 0]?.name;
      yield error('second-primary', ['nodes', second, 'roles'], `${first} is ${role} already`);
    }
  }
  const standbys = (file.postgres?.replicas ?? []).map(({ node }) => node);
  for (const [index, node] of standbys.entries()) {
    if (!declared.nodes.includes(node)) {
      const message = `no node ${node}${didYouMean(node, declared.nodes)}`;
      yield error('unknown-node', ['postgres', 'replicas', index, 'node'], message);
    }
  }
  for (const [index, node] of (file.redis?.replicas ?? []).entries()) {
    if (!declared.nodes.includes(node)) {
      const message = `no node ${node}${didYouMean(node, declared.nodes)}`;
      yield error('unknown-node', ['redis', 'replicas', index], message);
    }
  }
};
