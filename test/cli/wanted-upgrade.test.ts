import t from 'tap';
import type { CliContext, Server } from '../../installer/cli/context.ts';
import { planRehearsal } from '../../installer/cli/postgres.ts';
import { majorAway, newVolume, wantedUpgrade } from '../../installer/cli/wanted-upgrade.ts';
import type { Desired } from '../../installer/model/desired.ts';
import { EMPTY_LOCK } from '../../installer/model/lock-file.ts';
import type { Observed } from '../../installer/plan/observed.ts';
import { UpgradeWorld } from '../apply/upgrade-world.ts';

const image = {
  reference: 'holdfast/postgres:17',
  version: '17',
  source: 'debian',
  wish: '17',
} as const;

t.test('a new cluster takes a name that no volume has, whoever made it', async (t) => {
  t.equal(newVolume('demo', '17', {}, ['demo_postgres-data']), 'postgres-data-17');
  t.equal(newVolume('demo', '17', {}, ['demo_postgres-data-17']), 'postgres-data-17-2');
});

t.test('an attempt that was killed goes on under its name', async (t) => {
  const postgresUpgrade = {
    version: 1,
    phase: 'copying',
    from: { major: '15', volume: 'postgres-data', image },
    to: { major: '17', volume: 'postgres-data-17', image },
  } as const;
  t.equal(
    newVolume('demo', '17', { postgresUpgrade }, ['demo_postgres-data-17']),
    'postgres-data-17',
  );
});

t.test(
  'a Postgres that was taken out of the config comes back as the major version of its data',
  async (t) => {
    const old = { ...image, version: '15.4' };
    const away = { ...EMPTY_LOCK, ...majorAway({ ...EMPTY_LOCK, images: { postgres: old } }, {}) };
    t.equal(away.postgresMajor, '15');
    t.strictSame(majorAway(away, {}), { postgresMajor: '15' }, 'however many applies later');
    t.strictSame(majorAway(away, { postgres: old }), {});
    const back = (version: string, volumes: readonly string[]) =>
      wantedUpgrade(
        {} as CliContext,
        {} as Server,
        { lock: away, volumes, manifest: { generation: 3 } } as unknown as Observed,
        { project: 'demo', image: { ...image, version }, allowed: true },
      );
    await t.rejects(back('17.2', ['demo_postgres-data']), {
      code: 'config/postgres-major',
      hint: /postgres\.version: "15"/,
    });
    t.equal(await back('15.5', ['demo_postgres-data']), undefined);
    t.equal(await back('17.2', []), undefined, 'its volume is gone');
  },
);

t.test('what a killed rehearsal left is cleared before the plan asks for free disk', async (t) => {
  const server = new UpgradeWorld();
  await server.apply('15');
  const { world } = server;
  const render = async (observed: Observed): Promise<Desired> => server.render('17', {}, observed);
  server.rehearsalLeft = true;
  const { upgrade } = await planRehearsal({ apply: world.context, render });
  t.match(upgrade, { from: { major: '15' }, to: { major: '17' } });
  server.rehearsalLeft = true;
  await server.apply('17');
  t.equal(server.phase(), 'done');
});
