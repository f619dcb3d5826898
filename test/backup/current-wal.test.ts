import t from 'tap';
import { basesFor } from '../../installer/backup/restore/choose-base.ts';
import { neededWal } from '../../installer/backup/restore/fetch-wal.ts';
import { currentWal } from '../../installer/backup/wal/current-wal.ts';
import { needless } from '../../installer/backup/wal/prune-wal.ts';
import { segmentName } from '../../installer/backup/wal/segment.ts';
import type { StoredWal } from '../../installer/backup/wal/stored-wal.ts';
import { type WalObject, walObjectName } from '../../installer/backup/wal/wal-keys.ts';
import { baseLab, IDS, JOB, SEGMENT } from '../support/base-lab.ts';

/** The old content sorts before the new one as often as after it. */
const [LOW, HIGH] = ['1'.repeat(64), 'e'.repeat(64)];
const nameAt = (index: number) => segmentName({ timeline: 1, index }, SEGMENT);

function at(minute: number, object: WalObject): StoredWal {
  const storedAt = new Date(Date.UTC(2026, 0, 1, 0, minute));
  return { ...object, key: walObjectName(object, true), encrypted: true, size: 1, storedAt };
}
const whole = (index: number, minute: number, sha256 = LOW) =>
  at(minute, { kind: 'segment', name: nameAt(index), sha256 });
const begun = (index: number, minute: number) =>
  at(minute, { kind: 'partial', name: nameAt(index) });

/** `index@minute` of each, with a `p` for the beginning of one; by position, as they are listed. */
function kept(all: readonly StoredWal[]): string[] {
  const byKey = all.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  return currentWal(byKey, SEGMENT).wal.map(
    ({ kind, name, storedAt }) =>
      `${Number.parseInt(name.slice(16), 16)}${kind === 'partial' ? 'p' : ''}@${storedAt.getUTCMinutes()}`,
  );
}

/** What the machine wrote before it went back to within the sixth. */
const old = [4, 5, 6, 7, 8, 9].map((index) => whole(index, index));
const before = ['4@4', '5@5'];

t.test('of two histories under the same names the newer one counts', async (t) => {
  const table = [
    ['nothing was written since', [...old, begun(10, 10)], ['6@6', '7@7', '8@8', '9@9', '10p@10']],
    ['the first is open', [...old, begun(10, 10), begun(6, 30)], ['6p@30']],
    ['one is whole', [...old, begun(10, 10), whole(6, 30, HIGH)], ['6@30']],
    [
      'the next is open',
      [...old, begun(10, 10), whole(6, 30, HIGH), begun(7, 31)],
      ['6@30', '7p@31'],
    ],
    [
      'two are',
      [...old, begun(10, 10), whole(6, 30, HIGH), whole(7, 31, HIGH), begun(8, 32)],
      ['6@30', '7@31', '8p@32'],
    ],
    [
      'it went back again, within the seventh',
      [...old, ...[6, 7, 8].map((index) => whole(index, 30 + index, HIGH)), whole(7, 50, '5')],
      ['6@36', '7@50'],
    ],
    [
      'it has more than before',
      [...old, ...[6, 7, 8, 9, 10].map((index) => whole(index, 30 + index, HIGH))],
      ['6@36', '7@37', '8@38', '9@39', '10@40'],
    ],
  ] as const;
  for (const [what, all, rest] of table) t.strictSame(kept(all), [...before, ...rest], what);
});

t.test('what happens to every store gives up nothing', async (t) => {
  const table = [
    ['a retry', [whole(4, 4), whole(4, 5, HIGH), whole(5, 6)], ['4@5', '4@4', '5@6']],
    [
      'a retry of the last',
      [...old, whole(9, 10, HIGH), begun(10, 11)].slice(3),
      [...['7@7', '8@8', '9@10', '9@9', '10p@11']],
    ],
    [
      'a beginning that was not removed',
      [begun(4, 3), whole(4, 4), begun(5, 5)],
      [...['4@4', '4p@3', '5p@5']],
    ],
    ['a clock that went back', [whole(4, 9), whole(5, 8), begun(6, 7)], ['4@9', '5@8', '6p@7']],
    [
      'a bucket that was copied in any order',
      [whole(4, 40, HIGH), whole(4, 30), begun(5, 50), whole(5, 20), whole(6, 10), whole(7, 55)],
      ['4@40', '4@30', '5@20', '5p@50', '6@10', '7@55'],
    ],
  ] as const;
  for (const [what, all, expected] of table) t.strictSame(kept(all), expected, what);
});

t.test('pruning leaves the beginning of a segment that is written again', async (t) => {
  t.same(needless([whole(6, 6), begun(6, 30)], { firstIndex: 1, segmentBytes: SEGMENT }), []);
  t.same(needless([whole(6, 6), begun(6, 5)], { firstIndex: 1, segmentBytes: SEGMENT }), [
    begun(6, 5).key,
  ]);
});

t.test('a restore follows what was written last, from a base that fits it', async (t) => {
  const { context, store, base, segments, wal } = baseLab(t);
  const latest = () =>
    basesFor(context, JOB, store, { target: { kind: 'latest' }, identityFile: '' });
  const ids = async () => (await latest()).map(({ backup: { manifest } }) => manifest.id);
  await base(IDS.first, { index: 1 });
  await base(IDS.second, { index: 7 });
  await segments([1, 1, 9], { hour: 10, sha256: LOW });
  t.strictSame(await ids(), [IDS.second, IDS.first]);
  await segments([1, 6, 6], { hour: 11, sha256: HIGH });
  await wal({ kind: 'partial', name: nameAt(7) }, '2026-11-29T11:08:00Z');
  t.strictSame(await ids(), [IDS.first, IDS.second], 'the newer one holds what was given up');
  const [best] = await latest();
  t.equal(best?.chain.endLsn, 8 * SEGMENT);
  t.equal(best?.chain.missing, undefined);
  const needed = best === undefined ? [] : neededWal(best).slice(-3);
  t.match(needed, [
    { name: nameAt(5), sha256: LOW },
    { name: nameAt(6), sha256: HIGH },
    { kind: 'partial', name: nameAt(7) },
  ]);
  await base(IDS.third, { index: 7 });
  await segments([1, 7, 8], { hour: 11, sha256: HIGH });
  t.strictSame(await ids(), [IDS.third, IDS.first, IDS.second], 'a new base is the best');
});
