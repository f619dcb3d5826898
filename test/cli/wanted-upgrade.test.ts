import t from 'tap';
import { planRehearsal } from '../../installer/cli/postgres.ts';
import { newVolume } from '../../installer/cli/wanted-upgrade.ts';
import type { Desired } from '../../installer/model/desired.ts';
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
