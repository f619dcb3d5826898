import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Pace } from '../../installer/backup/pace.ts';
import { ProductLoad } from '../../installer/backup/product-load.ts';
import { FakeEngine } from '../support/fake-engine.ts';

/** Milliseconds that a chunk takes by the clock here. */
const CHUNK = 10;

interface World {
  /** The product's share of the processors at a moment. */
  readonly busy: (now: number) => number;
  readonly isKnown?: boolean;
  readonly chunk?: number;
  readonly isPressed?: (now: number) => boolean;
}

/** Runs a backup of so many chunks, and tells when each of them passed. */
async function passes(count: number, world: World) {
  const { busy, isKnown = true, isPressed, chunk: takes = CHUNK } = world;
  let now = 0;
  let told = 0;
  const pace = new Pace({
    load: async () => ({ isKnown, look: () => busy(now) }),
    ...(isPressed === undefined ? {} : { isPressed: async () => isPressed(now) }),
    onBusy: () => {
      told += 1;
    },
    clock: {
      now: () => now,
      wait: async (milliseconds) => {
        now += milliseconds;
      },
    },
  });
  async function* chunks() {
    for (let chunk = 0; chunk < count; chunk += 1) {
      now += takes;
      yield chunk;
    }
  }
  const at: number[] = [];
  const got: number[] = [];
  for await (const chunk of pace.through(chunks())) {
    got.push(chunk);
    at.push(now);
  }
  return { at, got, told, work: count * takes, took: now };
}

t.test('a product at ease costs a backup a look now and then', async (t) => {
  const { got, told, work, took } = await passes(6_000, { busy: () => 0.2 });
  t.strictSame(got, [...Array(6_000).keys()], 'every chunk comes through, in order');
  t.ok(took > work && took < work * 1.03, `${work} ms of work took ${took}`);
  t.equal(told, 0);
});

t.test('beside a product that takes all an eighth of the time is worked', async (t) => {
  const { took, work, told } = await passes(2_000, { busy: () => 0.9 });
  t.ok(took > work * 7 && took < work * 8.1, `${work} ms of work took ${took}`);
  t.equal(told, 1, 'it is said once');
});

t.test('the busier the product, the less', async (t) => {
  const factor = async (busy: number): Promise<number> => {
    const { took, work } = await passes(2_000, { busy: () => busy });
    return took / work;
  };
  const [third, half, most] = [await factor(0.3), await factor(0.5), await factor(0.6)];
  t.ok(third < half && half < most, `${third} ${half} ${most}`);
  t.ok(Math.abs(half - 2) < 0.9, `half of the time beside half: ${half}`);
});

t.test('it is seen that the product becomes busy, and that it ends', async (t) => {
  const { at } = await passes(10_000, { busy: (now) => (now > 30_000 && now < 90_000 ? 0.9 : 0) });
  const during = (from: number, to: number): number =>
    at.filter((one) => one >= from && one < to).length * CHUNK;
  t.ok(during(10_000, 30_000) > 19_000, 'full speed before');
  t.ok(during(40_000, 90_000) < 50_000 / 7, 'an eighth, at the latest ten seconds after it began');
  t.ok(during(92_000, 112_000) > 18_000, 'full speed soon after it ended');
});

t.test('no rests when there is no time, or nothing is known', async (t) => {
  const pressed = await passes(2_000, { busy: () => 0.9, isPressed: (now) => now > 20_000 });
  t.ok(pressed.took < 20_000 + 11_000 + pressed.work, `from then on none: ${pressed.took}`);
  const blind = await passes(2_000, { busy: () => 0.9, isKnown: false });
  t.ok(blind.took < blind.work + 50, `no more than the first: ${blind.took}`);
});

t.test('a backup ends, however busy the product is', async (t) => {
  const hours = 3_600_000;
  const { took, work } = await passes(25_000, { busy: () => 1, chunk: 60 });
  t.ok(took > work && took < work + 2.01 * hours, `${took / hours} hours`);
});

t.test('what containers take is read from the accounts of the kernel', async (t) => {
  const folder = t.testdir({ first: '1000000000\n', second: 'usage_usec 2000000\nuser_usec 1\n' });
  const files = ['first', 'second', 'gone'].map((name) => join(folder, name));
  const load = new ProductLoad(files);
  t.ok(load.isKnown);
  t.equal(load.look(), 0, 'nothing to compare with yet');
  // A minute of each of all processors: more than there was.
  const minute = availableParallelism() * 60;
  writeFileSync(join(folder, 'first'), `${(1 + minute) * 1e9}\n`);
  t.equal(load.look(), 1);
  writeFileSync(join(folder, 'second'), `usage_usec ${2e6 + minute * 1e6}\nuser_usec 1\n`);
  t.equal(load.look(), 1);
  t.equal(load.look(), 0, 'nothing since');
  t.notOk(new ProductLoad([join(folder, 'gone')]).isKnown);
  t.notOk(new ProductLoad([]).isKnown);
});

t.test(
  'an engine that does not answer fails no reading back: there are no rests then',
  async (t) => {
    const engine = new FakeEngine();
    engine.unreachable = true;
    await t.rejects(engine.containers({}), { code: 'engine/unreachable' });
    const load = await ProductLoad.of({ engine, settings: { project: 'demo' } });
    t.notOk(load.isKnown);
  },
);
