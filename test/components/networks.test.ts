import t from 'tap';
import { peerNetworks } from '../../installer/components/networks.ts';

/** Every pair that shares a network, as `a b` with a < b. */
function reachable(networks: ReadonlyMap<string, readonly string[]>): string[] {
  const pairs = new Set<string>();
  for (const members of networks.values()) {
    for (const a of members) for (const b of members) if (a < b) pairs.add(`${a} ${b}`);
  }
  return [...pairs].sort();
}

t.test('two callers of the same service do not see each other', async (t) => {
  const networks = peerNetworks([
    { name: 'web', peers: ['api'] },
    { name: 'worker', peers: ['api'] },
    { name: 'api', peers: [] },
  ]);
  t.strictSame(reachable(networks), ['api web', 'api worker']);
});

t.test('a group where all reach all shares one network', async (t) => {
  const names = Array.from({ length: 17 }, (_, index) => `s${index}`);
  const networks = peerNetworks(
    names.map((name) => ({ name, peers: names.filter((other) => other !== name) })),
  );
  t.equal(networks.size, 1);
  t.strictSame([...networks.values()][0], [...names].sort());
});

t.test('back ends that reach all, and front ends that reach nobody, stay apart', async (t) => {
  const backs = ['b1', 'b2', 'b3'];
  const fronts = ['f1', 'f2'];
  const all = [...backs, ...fronts];
  const networks = peerNetworks([
    ...backs.map((name) => ({ name, peers: all.filter((other) => other !== name) })),
    ...fronts.map((name) => ({ name, peers: [] })),
  ]);
  const pairs = reachable(networks);
  t.equal(pairs.includes('f1 f2'), false, 'front ends do not see each other');
  t.equal(pairs.length, 3 + 6);
  t.ok(networks.size <= 3, `${networks.size} networks`);
});

t.test('random graphs: reachability is exactly the wishes, whatever their order', async (t) => {
  let state = 7;
  const random = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  for (let round = 0; round < 50; round += 1) {
    const names = Array.from({ length: 8 }, (_, index) => `n${index}`);
    const services = names.map((name) => ({
      name,
      peers: names.filter((other) => other !== name && random() < 0.25),
    }));
    const wanted = new Set(
      services.flatMap(({ name, peers }) => peers.map((peer) => [name, peer].sort().join(' '))),
    );
    const networks = peerNetworks(services);
    t.strictSame(reachable(networks), [...wanted].sort());
    t.strictSame(
      [...peerNetworks([...services].reverse()).entries()],
      [...networks.entries()],
      'the order of the config does not matter',
    );
  }
});

t.test('names with hyphens give networks of their own', async (t) => {
  const networks = peerNetworks([
    { name: 'a', peers: ['b-c'] },
    { name: 'a-b', peers: ['c'] },
    { name: 'b-c', peers: [] },
    { name: 'c', peers: [] },
  ]);
  t.strictSame([...networks.keys()].sort(), ['peer-a--b-c', 'peer-a-b--c']);
});
