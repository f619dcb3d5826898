import t from 'tap';
import { pathsUnder } from '../../installer/model/paths.ts';
import { Secret } from '../../installer/model/secret.ts';
import { type Rotation, rotate } from '../../installer/secrets/rotate.ts';
import { SecretStore } from '../../installer/secrets/store.ts';
import { MemoryHost } from '../support/memory-host.ts';

const paths = pathsUnder();
const NAME = 'DB_PASSWORD';

/**
 * A server with one password and an app that logs in with what its file says. Each step of it is an effect of
 * the host, so that a crash can come between any two. `apply` does what a real one does: the server is brought
 * to what the store says whenever the record of the last apply differs.
 */
class World {
  readonly host = new MemoryHost();
  readonly store = new SecretStore(this.host, paths);
  server = 'old';
  app = 'old';
  applied = 'old';
  serverDown = false;
  appBreaksWith: string | undefined;
  generated = 0;

  static async start(): Promise<World> {
    const world = new World();
    await world.store.store(NAME, new Secret('old'));
    return world;
  }

  async change(password: string): Promise<void> {
    if (this.serverDown) throw new Error('the server does not answer');
    await this.host.effects.perform('server', () => {
      this.server = password;
    });
  }

  async forgetAndChange(password: string): Promise<void> {
    await this.host.effects.perform('forget', () => {
      this.applied = '';
    });
    await this.change(password);
  }

  async apply(): Promise<void> {
    const wanted = (await this.store.get(NAME))?.reveal() ?? '';
    if (this.applied !== wanted) {
      await this.change(wanted);
      await this.host.effects.perform('record', () => {
        this.applied = wanted;
      });
    }
    if (this.app !== wanted) {
      await this.host.effects.perform('app', () => {
        this.app = wanted;
      });
    }
    if (this.appBreaksWith === wanted) throw new Error('the app does not get healthy');
  }

  rotation(more: Partial<Rotation> = {}): Rotation {
    return {
      name: NAME,
      store: this.store,
      newValue: async () => {
        this.generated += 1;
        return new Secret(`new ${this.generated}`);
      },
      server: { change: (password) => this.forgetAndChange(password.reveal()) },
      agree: async () => true,
      exclusively: (step) => step(),
      apply: () => this.apply(),
      ...more,
    };
  }

  async everywhere(): Promise<string> {
    const values = new Set([this.server, this.app, (await this.store.get(NAME))?.reveal()]);
    return [...values].join(' / ');
  }
}

t.test('a rotation ends with the new value everywhere and nothing left over', async (t) => {
  const world = await World.start();
  t.equal(await rotate(world.rotation()), 'rotated');
  t.equal(await world.everywhere(), 'new 1');
  t.strictSame(await world.host.list(paths.secrets), [NAME]);
});

t.test('the server knows the new password before any file does', async (t) => {
  const world = await World.start();
  await rotate(
    world.rotation({
      apply: async () => {
        t.equal(world.server, 'new 1');
        t.equal(world.app, 'old');
        await world.apply();
      },
    }),
  );
});

t.test(
  'killed before and after every step: the same again, or a plain apply, ends well',
  async (t) => {
    const dry = await World.start();
    dry.host.effects.revive();
    await rotate(dry.rotation());
    const steps = dry.host.effects.count;
    t.ok(steps >= 6, `${steps} steps`);
    for (let effect = 1; effect <= steps; effect += 1) {
      for (const when of ['before', 'after'] as const) {
        for (const next of ['rotate', 'apply'] as const) {
          const world = await World.start();
          world.host.crashAt({ effect, when });
          await t.rejects(rotate(world.rotation()));
          world.host.effects.revive();
          if (next === 'rotate') await rotate(world.rotation());
          else await world.apply();
          const end = await world.everywhere();
          t.match(
            end,
            next === 'rotate' ? /^new \d$/ : /^(?:new \d|old)$/,
            `${when} ${effect}, ${next}`,
          );
        }
      }
    }
  },
);

t.test('a server that refuses leaves everything as it was', async (t) => {
  const world = await World.start();
  const server = {
    change: async (password: Secret) => {
      if (password.reveal() !== 'old') throw new Error('permission denied');
    },
  };
  await t.rejects(rotate(world.rotation({ server })), {
    code: 'secret/rotation-failed',
    what: /the old value was brought back everywhere/,
    why: 'permission denied',
  });
  t.equal(await world.everywhere(), 'old');
  t.strictSame(await world.host.list(paths.secrets), [NAME]);
});

t.test('an app that fails with the new password gets the old one back', async (t) => {
  const world = await World.start();
  world.appBreaksWith = 'new 1';
  await t.rejects(rotate(world.rotation()), { code: 'secret/rotation-failed' });
  t.equal(await world.everywhere(), 'old');
});

t.test(
  'killed at every step of going back: a plain apply ends with one value everywhere',
  async (t) => {
    for (let effect = 1; effect <= 16; effect += 1) {
      const world = await World.start();
      world.appBreaksWith = 'new 1';
      world.host.crashAt({ effect, when: 'after' });
      await t.rejects(rotate(world.rotation()));
      world.host.effects.revive();
      world.appBreaksWith = undefined;
      await world.apply();
      t.match(await world.everywhere(), /^(?:new 1|old)$/, `after ${effect}`);
    }
  },
);

t.test(
  'when the server is gone, the old value counts and the next apply brings it back',
  async (t) => {
    for (const isGone of ['from the start', 'after the change'] as const) {
      const world = await World.start();
      world.serverDown = isGone === 'from the start';
      const apply = async () => {
        world.serverDown = true;
        throw new Error('power cut');
      };
      await t.rejects(rotate(world.rotation({ apply })), {
        code: 'secret/rotation-failed',
        hint: 'holdfast apply',
      });
      world.serverDown = false;
      await world.apply();
      t.equal(await world.everywhere(), 'old', isGone);
      t.strictSame(await world.host.list(paths.secrets), [NAME]);
    }
  },
);

t.test('a no changes nothing', async (t) => {
  const world = await World.start();
  t.equal(await rotate(world.rotation({ agree: async () => false })), 'declined');
  const refuse = async () => {
    throw new Error('no terminal');
  };
  await t.rejects(rotate(world.rotation({ agree: refuse })), /no terminal/);
  t.equal(await world.everywhere(), 'old');
  t.strictSame(await world.host.list(paths.secrets), [NAME]);
});

t.test('nothing counts before the yes', async (t) => {
  const world = await World.start();
  const agree = async (next: Secret) => {
    t.equal(next.reveal(), 'new 1', 'what is asked about');
    await world.apply();
    t.equal(await world.everywhere(), 'old', 'an apply meanwhile');
    return true;
  };
  t.equal(await rotate(world.rotation({ agree })), 'rotated');
  t.equal(await world.everywhere(), 'new 1');
});

t.test('the value is proposed while nobody else changes the server', async (t) => {
  const world = await World.start();
  let isLocked = false;
  const exclusively = async (step: () => Promise<void>) => {
    isLocked = true;
    t.equal(await world.store.next(NAME), undefined);
    await step();
    t.equal((await world.store.next(NAME))?.reveal(), 'new 1');
    isLocked = false;
  };
  const apply = async () => {
    t.notOk(isLocked, 'which takes the lock itself');
    await world.apply();
  };
  await rotate(world.rotation({ exclusively, apply }));
  t.equal(await world.everywhere(), 'new 1');
});

t.test('of two rotations, the no of one leaves the other alone', async (t) => {
  const world = await World.start();
  const other = async () => {
    await rotate(world.rotation());
    return false;
  };
  t.equal(await rotate(world.rotation({ agree: other })), 'declined');
  t.equal(await world.everywhere(), 'new 2');
});

t.test('of two rotations, a yes that comes late changes nothing', async (t) => {
  for (const ending of ['finished', 'killed'] as const) {
    const world = await World.start();
    const apply = async () => {
      throw new Error('SimulatedKill');
    };
    const other = async () => {
      if (ending === 'finished') await rotate(world.rotation());
      else await world.store.propose(NAME, new Secret('theirs'));
      return true;
    };
    const late = rotate(world.rotation({ agree: other, apply }));
    await t.rejects(late, { code: 'secret/rotated-meanwhile' }, ending);
    await world.apply();
    t.equal(await world.everywhere(), ending === 'finished' ? 'new 2' : 'theirs');
  }
});

t.test('a secret without a value is not rotated', async (t) => {
  const world = new World();
  await t.rejects(rotate(world.rotation()), { code: 'secret/not-set' });
});
