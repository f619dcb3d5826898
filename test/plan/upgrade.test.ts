import t from 'tap';
import type { LockedImage } from '../../installer/model/lock-file.ts';
import type { Rehearsal, WantedUpgrade } from '../../installer/model/postgres-upgrade.ts';
import { makePlan } from '../../installer/plan/diff.ts';
import { planText } from '../../installer/plan/text.ts';
import { desiredFile, desiredWith, observedWith } from '../support/desired.ts';

const image = (major: string): LockedImage => ({
  reference: `holdfast/postgres:${major}`,
  version: major,
  source: 'debian',
  wish: major,
});
const WANTED: WantedUpgrade = {
  from: { major: '15', volume: 'postgres-data', image: image('15') },
  to: { major: '17', volume: 'postgres-data-17', image: image('17') },
  bytes: 10 * 1024 ** 2,
  neededBytes: 512 * 1024 ** 2,
  freeBytes: 3 * 1024 ** 3,
};
const REHEARSAL: Rehearsal = {
  version: 1,
  at: '2026-11-28T10:00:00.000Z',
  from: '15',
  to: '17',
  image: 'holdfast/postgres:17',
  seconds: 41,
  bytes: 10 * 1024 ** 2,
  problems: [],
};

function shown(more: Partial<WantedUpgrade>): string {
  const desired = desiredWith({
    fileList: [desiredFile('/stack/compose.yaml', 'new\n')],
    postgresUpgrade: { ...WANTED, ...more },
  });
  return planText(makePlan(desired, observedWith()), { diffs: false });
}

t.test('an upgrade stands before the files that lead to it, with its disk', async (t) => {
  const text = shown({});
  t.match(text, /^± postgres 15 to 17: .*postgres-data-17; the old one stays \[recreate\]$/m);
  t.match(text, /512 MiB of disk needed, 3\.0 GiB free/);
  t.match(text, /not rehearsed yet: `holdfast postgres rehearse`/);
  t.ok(text.indexOf('± postgres') < text.indexOf('+ file /stack/compose.yaml'));
});

t.test('what the last rehearsal found is told with it', async (t) => {
  t.match(shown({ rehearsal: REHEARSAL }), /with 10\.0 MiB: no problem, about 41 s without/);
  const problems = ['a tablespace', 'a copy that differs\nin two lines'];
  t.match(
    shown({ rehearsal: { ...REHEARSAL, problems } }),
    /it cannot be done\n {6}a tablespace\n {6}a copy that differs\n {6}in two lines\n/,
  );
});

t.test('images of both clusters stay while there is a way back', async (t) => {
  const images = { 'holdfast/postgres:15': 1, 'holdfast/redis:7': 1 };
  const manifest = { ...observedWith().manifest, images, generation: 5 };
  const desired = desiredWith({
    fileList: [desiredFile('/stack/compose.yaml', 'new\n')],
    keptImages: ['holdfast/postgres:15'],
  });
  const { operations } = makePlan(desired, observedWith({ manifest }));
  t.match(operations.at(-1), { kind: 'remove-images', references: ['holdfast/redis:7'] });
});
