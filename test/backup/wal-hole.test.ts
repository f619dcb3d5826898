import t, { type Test } from 'tap';
import type { BackupContext } from '../../installer/backup/context.ts';
import { bringCluster } from '../../installer/backup/drill/drill-data.ts';
import type { DrillStack } from '../../installer/backup/drill/drill-stack.ts';
import { provePointInTime } from '../../installer/backup/restore/prove-point-in-time.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type { BackupSettings } from '../../installer/model/backup-settings.ts';
import { baseLab, IDS } from '../support/base-lab.ts';

const BEGUN = { message: 'the work has begun' };

/** Whoever begins with the work removes first what an earlier run left, and is stopped there. */
function lab(t: Test) {
  const made = baseLab(t);
  const pitr = { job: 'base', store: 'local', rpoSeconds: 60, windowSeconds: 1 };
  const settings: BackupSettings = {
    ...made.context.settings,
    pitr: { ...pitr, folder: '/wal', slot: 's' },
  };
  const engine = {
    info: async () => ({ dataRoot: '/' }),
    containers: async () => {
      throw new Error(BEGUN.message);
    },
  };
  const host = Object.assign(new LocalHost(), { run: async () => ({ stdout: '' }) });
  const context = { ...made.context, settings, engine, host } as unknown as BackupContext;
  const stack = { volumeAt: () => 'drill_data', project: 'drill' } as unknown as DrillStack;
  return { ...made, context, drill: () => bringCluster(context, { stack, limits: [] }) };
}

const GAP = {
  code: 'restore/gap',
  message: new RegExp(`${IDS.first} does not lead to the newest moment`),
  why: /^000000010000000000000004 is missing/,
  hint: /^holdfast backup run base:/,
};

t.test('neither proof takes a base that ends at a hole for the newest moment', async (t) => {
  const { context, drill, base, segments } = lab(t);
  await base(IDS.first, { index: 1 });
  await segments([1, 1, 3]);
  await segments([1, 5, 6]);
  await t.rejects(provePointInTime(context), GAP);
  await t.rejects(drill(), GAP);
});

t.test('a gap with a newer base behind it is history', async (t) => {
  const { context, drill, base, segments } = lab(t);
  await base(IDS.first, { index: 1 });
  await base(IDS.second, { index: 6 });
  await segments([1, 1, 3]);
  await segments([1, 5, 7]);
  await t.rejects(provePointInTime(context), BEGUN);
  await t.rejects(drill(), BEGUN);
});
