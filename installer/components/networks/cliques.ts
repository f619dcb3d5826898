export interface Clique {
  /** The first pair, in sorted order, that made this clique necessary; no two cliques have the same. */
  readonly edge: readonly [string, string];
  /** Sorted. */
  readonly members: readonly string[];
}

/**
 * Groups whose members are all joined to each other and which together hold every edge of the graph:
 * two nodes share a group exactly when an edge joins them. The direction of an edge does not count.
 * Greedy, not the least number of groups; the same edges give the same groups in any order of input.
 */
export function coverWithCliques(edges: readonly (readonly [string, string])[]): Clique[] {
  const neighbours = neighboursOf(edges);
  const nodes = [...neighbours.keys()].sort();
  const covered = new Map(nodes.map((node) => [node, new Set<string>()]));
  const isOpen = (a: string, b: string) => covered.get(a)?.has(b) !== true;
  const cliques: Clique[] = [];

  for (const first of nodes) {
    for (const second of [...(neighbours.get(first) ?? [])].sort()) {
      if (second < first || !isOpen(first, second)) continue;
      const members = [first, second];
      for (const candidate of [...(neighbours.get(first) ?? [])].sort()) {
        const joinsAll = members.every((member) => neighbours.get(member)?.has(candidate));
        // One that brings no open edge would only join a network for nothing.
        if (joinsAll && members.some((member) => isOpen(member, candidate)))
          members.push(candidate);
      }
      for (const member of members) {
        for (const other of members) if (other !== member) covered.get(member)?.add(other);
      }
      cliques.push({ edge: [first, second], members: members.sort() });
    }
  }
  return cliques;
}

function neighboursOf(edges: readonly (readonly [string, string])[]): Map<string, Set<string>> {
  const neighbours = new Map<string, Set<string>>();
  const join = (from: string, to: string) =>
    neighbours.set(from, (neighbours.get(from) ?? new Set()).add(to));
  for (const [a, b] of edges) {
    if (a === b) continue;
    join(a, b);
    join(b, a);
  }
  return neighbours;
}
