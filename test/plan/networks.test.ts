import t from 'tap';
import type { Stack, StackService } from '../../installer/model/stack.ts';
import { makePlan } from '../../installer/plan/diff.ts';
import type { Observed, ObservedContainer } from '../../installer/plan/observed.ts';
import { planText } from '../../installer/plan/text.ts';
import { desiredWith, observedWith } from '../support/desired.ts';

const MEMORY = 64 * 1024 ** 2;
const SUBNETS: Readonly<Record<string, string>> = {
  'data-api': '10.213.0.0/26',
  'data-web': '10.213.0.64/26',
};

/** Services by name, each with its networks. */
type Members = Readonly<Record<string, readonly string[]>>;

function desired(members: Members) {
  const services = Object.fromEntries(
    Object.entries(members).map(([name, networks]): [string, StackService] => [
      name,
      {
        image: 'demo:1',
        networks: Object.fromEntries(networks.map((one) => [one, null])),
        healthcheck: { test: ['NONE'] },
        mem_limit: MEMORY,
      },
    ]),
  );
  const names = [...new Set(Object.values(members).flat())];
  const networks: Stack['networks'] = Object.fromEntries(
    names.map((name) => [name, { internal: true, subnet: SUBNETS[name] ?? '' }]),
  );
  return desiredWith({
    stack: { project: 'demo', services, networks, volumes: {} },
    specs: new Map(Object.keys(services).map((name) => [name, `spec-${name}`])),
  });
}

function observed(members: Members, more: Partial<Observed> = {}): Observed {
  const names = [...new Set(Object.values(members).flat())];
  return observedWith({
    containers: Object.entries(members).map(
      ([name, networks]): ObservedContainer => ({
        id: `id-of-${name}`,
        name: `demo-${name}-1`,
        service: name,
        slot: 'a',
        spec: `spec-${name}`,
        image: 'demo:1',
        imageId: 'sha256:1',
        running: true,
        atRest: false,
        healthy: true,
        memoryLimit: MEMORY,
        networks: networks.map((one) => `demo_${one}`),
      }),
    ),
    networks: names.map((name) => ({ name: `demo_${name}`, subnet: SUBNETS[name] ?? '' })),
    ...more,
  });
}

const ONE: Members = { postgres: ['data-api'], api: ['data-api'] };
const TWO: Members = { postgres: ['data-api', 'data-web'], api: ['data-api'], web: ['data-web'] };

t.test(
  'a new client of the database: its network is connected, nothing is recreated',
  async (t) => {
    t.equal(
      planText(makePlan(desired(TWO), observed(ONE))),
      [
        '+ network demo_data-web',
        '~ network demo_data-web: connect postgres',
        '+ service web: create (new)',
        '3 operations: 1 services created.',
        '',
      ].join('\n'),
    );
  },
);

t.test('a client that goes: its network is left and removed after its containers', async (t) => {
  t.equal(
    planText(makePlan(desired(ONE), observed(TWO))),
    [
      '- service web: 1 containers (no longer in the config; its volumes stay)',
      '~ network demo_data-web: disconnect postgres',
      '- network demo_data-web (no longer in the config)',
      '3 operations: 1 services removed.',
      '',
    ].join('\n'),
  );
});

t.test('networks as desired need nothing; only who lacks one is connected', async (t) => {
  t.strictSame(makePlan(desired(TWO), observed(TWO)).operations, []);
  const half = observed({ ...TWO, postgres: ['data-api'] });
  t.match(makePlan(desired(TWO), half).operations, [
    {
      kind: 'connect-network',
      network: 'demo_data-web',
      service: 'postgres',
      containers: ['id-of-postgres'],
      impact: 'none',
    },
  ]);
  t.equal(makePlan(desired(TWO), half).operations.length, 1);
});

t.test('a stopped container is connected before it starts, a recreated one is not', async (t) => {
  const { containers, ...rest } = observed({ ...TWO, postgres: ['data-api'] });
  const postgres = (more: Partial<ObservedContainer>) =>
    containers.map((one) => (one.service === 'postgres' ? { ...one, ...more } : one));
  const ids = (list: readonly ObservedContainer[]) =>
    makePlan(desired(TWO), { ...rest, containers: list }).operations.map(({ id }) => id);
  t.strictSame(ids(postgres({ running: false })), [
    'connect-network:demo_data-web:postgres',
    'compose-up:0',
  ]);
  t.strictSame(ids(postgres({ spec: 'older' })), ['compose-up:0']);
});

t.test('a network of another subnet is replaced and its services are recreated', async (t) => {
  const moved = observed(TWO, {
    networks: [
      { name: 'demo_data-api', subnet: '10.213.0.0/26' },
      { name: 'demo_data-web', subnet: '10.99.0.0/26' },
    ],
  });
  t.equal(
    planText(makePlan(desired(TWO), moved)),
    [
      '~ network demo_data-web: disconnect postgres',
      '~ network demo_data-web: disconnect web',
      '- network demo_data-web (its subnet changed)',
      '+ network demo_data-web',
      '± service postgres: recreate (its network changed) [recreate]',
      '± service web: recreate (its network changed) [recreate]',
      '5 operations: 2 recreated.',
      '',
    ].join('\n'),
  );
});

t.test('networks of others are left alone', async (t) => {
  const { containers, ...rest } = observed(ONE);
  const plan = makePlan(desired(ONE), {
    ...rest,
    containers: containers.map((one) => ({ ...one, networks: [...one.networks, 'theirs'] })),
  });
  t.strictSame(plan.operations, []);
});
