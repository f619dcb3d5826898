import t from 'tap';
import type { BackupContext } from '../../installer/backup/context.ts';
import { neededWal } from '../../installer/backup/restore/fetch-wal.ts';
import {
  parseLsnTarget,
  parseTime,
  targetSettings,
} from '../../installer/backup/restore/point-in-time.ts';
import { lossText, lostTransactions } from '../../installer/backup/restore/what-is-lost.ts';
import { atPlace, breakBetween, withGap } from '../../installer/backup/wal/gaps.ts';
import { needless } from '../../installer/backup/wal/prune-wal.ts';
import {
  lsnText,
  parseLsn,
  parseSegment,
  segmentAt,
  segmentName,
} from '../../installer/backup/wal/segment.ts';
import { shipOptions } from '../../installer/backup/wal/ship-wal.ts';
import type { StoredWal } from '../../installer/backup/wal/stored-wal.ts';
import { parseHistory, withSince } from '../../installer/backup/wal/timelines.ts';
import { walChain } from '../../installer/backup/wal/wal-chain.ts';
import {
  parseWalName,
  type WalObject,
  walObjectName,
} from '../../installer/backup/wal/wal-keys.ts';
import type { WalStatus } from '../../installer/model/wal-status.ts';

const MIB = 1024 ** 2;
const SEGMENT = 16 * MIB;
const SHA = 'a'.repeat(64);

function stored(object: WalObject, minute = 0): StoredWal {
  const key = walObjectName(object, true);
  return {
    ...object,
    key,
    encrypted: true,
    size: 1,
    storedAt: new Date(Date.UTC(2026, 0, 1, 0, minute)),
  };
}
const segment = (timeline: number, index: number) =>
  stored({ kind: 'segment', name: segmentName({ timeline, index }, SEGMENT), sha256: SHA }, index);
const partial = (timeline: number, index: number) =>
  stored({ kind: 'partial', name: segmentName({ timeline, index }, SEGMENT) }, index);

t.test('positions and names of segments are those of Postgres', async (t) => {
  t.equal(parseLsn('1/6B3A2F8'), 2 ** 32 + 0x6b3a2f8);
  t.equal(lsnText(parseLsn('1/6B3A2F8')), '1/6B3A2F8');
  t.throws(() => parseLsn('16B3A2F8'), RangeError);
  // pg_walfile_name('1/6B3A2F8') on a server of 16 MiB and one of 64 MiB segments.
  const at = (bytes: number) =>
    segmentName({ timeline: 1, index: segmentAt(parseLsn('1/6B3A2F8'), bytes) }, bytes);
  t.equal(at(SEGMENT), '000000010000000100000006');
  t.equal(at(64 * MIB), '000000010000000100000001');
  t.same(parseSegment('0000000A00000001000000FF', SEGMENT), { timeline: 10, index: 511 });
  t.throws(() => parseSegment('0000000A00000001000000FF.partial', SEGMENT), RangeError);
});

t.test('a key tells what it holds, and no other key does', async (t) => {
  const name = '000000010000000100000006';
  const objects: WalObject[] = [
    { kind: 'segment', name, sha256: SHA },
    { kind: 'partial', name },
    { kind: 'history', name: '00000002.history' },
  ];
  for (const object of objects) {
    for (const encrypted of [true, false]) {
      t.same(parseWalName(walObjectName(object, encrypted)), { ...object, encrypted });
    }
  }
  for (const text of ['manifest.json', `${name}.zst`, `${name}-${SHA}.zst.age.part`, '']) {
    t.equal(parseWalName(text), undefined, text);
  }
});

t.test('a segment that is missing breaks the chain, a new timeline does not', async (t) => {
  const name = (timeline: number, index: number) => segmentName({ timeline, index }, SEGMENT);
  t.equal(breakBetween(name(1, 255), name(1, 256), SEGMENT), undefined);
  t.match(breakBetween(name(1, 5), name(1, 7), SEGMENT), /000005 is missing/);
  t.equal(breakBetween(name(1, 5), name(2, 5), SEGMENT), undefined);
  t.equal(breakBetween(name(1, 5), name(2, 6), SEGMENT), undefined);
  t.match(breakBetween(name(1, 5), name(2, 8), SEGMENT), /is missing/);
  t.match(breakBetween(name(2, 5), name(1, 6), SEGMENT), /is missing/);
});

t.test('WAL that goes to another place begins anew there, with a base', async (t) => {
  const before: WalStatus = {
    ...{ version: 1, systemIdentifier: '1', timeline: 1, segmentBytes: SEGMENT, checkedAt: '' },
    ...{ shippedThrough: '000000010000000000000005', shippedFiles: { a: 1 } },
    ...{ waitingBytes: 0, gaps: [] },
  };
  const now = new Date('2026-01-01T00:00:00Z');
  const known = atPlace(before, 'here', now);
  t.strictSame(known, { ...before, place: 'here' }, 'nobody knows of another one');
  t.strictSame(atPlace(known, 'here', now), known);
  t.strictSame(atPlace(known, 'there', now), {
    ...{ version: 1, systemIdentifier: '1', timeline: 1, segmentBytes: SEGMENT, checkedAt: '' },
    ...{ waitingBytes: 0, gaps: [], place: 'there', baseNeededSince: now.toISOString() },
  });
});

t.test('a gap asks for a base, and the last twenty are remembered', async (t) => {
  let status: WalStatus = {
    version: 1,
    systemIdentifier: '1',
    timeline: 1,
    segmentBytes: SEGMENT,
    checkedAt: '',
    shippedThrough: '000000010000000000000005',
    waitingBytes: 0,
    gaps: [],
  };
  for (let hour = 0; hour < 23; hour += 1) {
    status = withGap(status, `gap ${hour}`, new Date(Date.UTC(2026, 0, 1, hour)));
  }
  t.equal(status.gaps.length, 20);
  t.match(status.gaps.at(-1), { why: 'gap 22', after: '000000010000000000000005' });
  t.equal(status.baseNeededSince, '2026-01-01T22:00:00.000Z');
});

const base = {
  timeline: 1,
  startLsn: lsnText(3 * SEGMENT + 40),
  stopLsn: lsnText(3 * SEGMENT + 400),
  segmentBytes: SEGMENT,
  clusterBytes: 0,
};

/** Whose history is lost: it comes from whatever is older. */
const newest = { number: 3 };

t.test('the chain of a base ends with the open segment, or at its first hole', async (t) => {
  const whole = walChain(
    [segment(1, 2), segment(1, 3), segment(1, 4), partial(1, 5)],
    base,
    newest,
  );
  t.equal(whole.endLsn, 6 * SEGMENT);
  t.equal(whole.segments.length, 2);
  t.same(whole.storedUntil, new Date(Date.UTC(2026, 0, 1, 0, 5)));
  t.equal(whole.missing, undefined);

  const broken = walChain([segment(1, 3), segment(1, 5), partial(1, 6)], base, newest);
  t.equal(broken.endLsn, 4 * SEGMENT);
  t.equal(broken.missing, '000000010000000000000004');

  const over = walChain([segment(1, 3), partial(1, 4), segment(2, 4), partial(2, 5)], base, newest);
  t.equal(over.endLsn, 6 * SEGMENT, 'it goes over to the new timeline');
  t.equal(over.missing, undefined);
  t.equal(walChain([], base, newest).storedUntil, undefined);
});

t.test('what a restore gave up is no gap, and a gap is one on whichever timeline', async (t) => {
  const from = (timeline: number, first: number, last: number) =>
    Array.from({ length: last - first + 1 }, (_, at) => segment(timeline, first + at));
  const name = (timeline: number, index: number) => segmentName({ timeline, index }, SEGMENT);
  const table = [
    ['before the branch', [...from(1, 3, 3), ...from(1, 5, 10), ...from(2, 6, 8)], name(1, 4)],
    ['right before it', [...from(1, 3, 3), ...from(2, 5, 8)], name(1, 4)],
    ['on the new one', [...from(1, 3, 10), ...from(2, 5, 6), ...from(2, 8, 8)], name(2, 7)],
    ['of the rest of the old one', [...from(1, 3, 10), ...from(2, 5, 7), partial(2, 8)], undefined],
    [
      'of two branches, each given up',
      [...from(1, 3, 12), ...from(2, 5, 10), ...from(3, 7, 8)],
      undefined,
    ],
    [
      'of two branches off the first',
      [...from(1, 3, 12), ...from(2, 8, 10), ...from(3, 5, 6)],
      undefined,
    ],
    [
      'on the newest of three',
      [...from(1, 3, 12), ...from(2, 5, 10), ...from(3, 7, 7), ...from(3, 9, 9)],
      name(3, 8),
    ],
  ] as const;
  for (const [what, wal, missing] of table)
    t.equal(walChain(wal, base, newest).missing, missing, what);
});

t.test('a chain keeps to its timeline and to those that lead there', async (t) => {
  const [from, left] = [(index: number) => index * SEGMENT, 5 * SEGMENT + 8];
  const wal = [3, 4, 5, 6, 7].map((index) => segment(1, index));
  const branch = [5, 6, 7, 8, 9].map((index) => segment(2, index));
  const again = [5, 6].map((index) => segment(3, index));
  const all = [...wal, ...branch, ...again];
  const first = { number: 1, ancestors: [] };
  const after = (number: number) => ({ number, ancestors: [{ number: 1, until: left }] });
  t.equal(walChain(all, base, first).endLsn, from(8));
  t.equal(walChain(all, base, after(2)).endLsn, from(10));
  const third = walChain(all, base, after(3));
  t.equal(third.endLsn, from(7), 'the second was never part of the third');
  t.equal(third.missing, undefined);
  const lost = walChain([...wal, segment(3, 6), segment(3, 7)], base, after(3));
  t.equal(lost.missing, segmentName({ timeline: 1, index: 5 }, SEGMENT));
  t.equal(lost.endLsn, from(5), 'in its place the old one has what was given up');
  const open = walChain([...wal, partial(3, 5)], base, after(3));
  t.equal(open.endLsn, from(6), 'nothing of it is whole yet: the old one has what was before');
  const skipped = walChain([...wal, partial(3, 7)], base, after(3));
  t.equal(skipped.missing, segmentName({ timeline: 1, index: 5 }, SEGMENT), 'its first is lost');
});

t.test('a history names what it came from, and nothing else passes for one', async (t) => {
  const text =
    '1\t0/5000060\tno recovery target specified\n\n# mine\n 2\t1/AB\tat restore point "x y"\n';
  const ancestors = [
    { number: 1, until: 0x5000060 },
    { number: 2, until: 2 ** 32 + 0xab },
  ];
  t.strictSame(parseHistory(text), { ancestors });
  t.strictSame(parseHistory(''), { ancestors: [] });
  const dated = withSince(Buffer.from(text), '2026-11-29T10:00:00.123Z').toString();
  t.strictSame(parseHistory(dated), { ancestors, since: new Date('2026-11-29T10:00:00.123Z') });
  for (const bad of ['x', '1', '1 x', '0 0/1', '-1 0/1']) t.throws(() => parseHistory(bad), bad);
});

t.test(
  'a restore reads each position once, and the open one only where it is not whole',
  async (t) => {
    const other = { ...segment(1, 3), sha256: 'b'.repeat(64), key: 'other' };
    const history = stored({ kind: 'history', name: '00000002.history' });
    const wal = [
      partial(1, 5),
      segment(1, 4),
      other,
      segment(1, 3),
      partial(1, 4),
      history,
      segment(1, 1),
    ];
    t.same(
      neededWal({ base, wal, timeline: newest, timelines: [1, 2, 3] }).map(
        ({ kind, name }) => `${kind} ${name.slice(-2)}`,
      ),
      ['history ry', 'segment 03', 'segment 04', 'partial 05'],
    );
  },
);

t.test('only what lies before the oldest base goes, and beginnings of what is whole', async (t) => {
  const history = stored({ kind: 'history', name: '00000002.history' });
  const wal = [segment(1, 2), segment(1, 3), partial(1, 3), partial(1, 4), partial(2, 1), history];
  t.same(needless(wal, { firstIndex: 3, segmentBytes: SEGMENT }), [
    segment(1, 2).key,
    partial(1, 3).key,
    partial(2, 1).key,
  ]);
});

t.test('a time is read in its zone, or in that of the config', async (t) => {
  const table = [
    ['2026-11-20 14:03:00 Europe/Paris', '2026-11-20T13:03:00.000Z'],
    ['2026-07-20 14:03 Europe/Paris', '2026-07-20T12:03:00.000Z'],
    ['2026-11-20 14:03:00.5 UTC', '2026-11-20T14:03:00.500Z'],
    ['2026-11-20T14:03:00Z', '2026-11-20T14:03:00.000Z'],
    ['2026-11-20 14:03:00 -05:30', '2026-11-20T19:33:00.000Z'],
    ['2028-02-29 00:00:00', '2028-02-28T15:00:00.000Z'],
  ] as const;
  for (const [text, expected] of table) {
    t.equal(parseTime(text, 'Asia/Tokyo').toISOString(), expected, text);
  }
  for (const [text, why] of [
    ['yesterday', /not a date/],
    ['2026-02-29 10:00', /no such date/],
    ['2026-11-20 24:00', /no such date/],
    ['2026-11-20 10:00 Mars/Base', /no time zone Mars/],
    ['2026-03-29 02:30:00 Europe/Paris', /put forward/],
    ['2026-10-25 02:30:00 Europe/Paris', /twice, as 2026-10-25T0[01]:30:00.000Z and as/],
  ] as const) {
    t.throws(() => parseTime(text, 'UTC'), { code: 'usage/restore-time', why }, text);
  }
  t.throws(() => parseLsnTarget('now'), { code: 'usage/restore-lsn' });
});

t.test('Postgres is told in its own words', async (t) => {
  const time = new Date('2026-11-20T13:03:00.250Z');
  t.same(targetSettings({ kind: 'time', time }), [
    'recovery_target_time=2026-11-20 13:03:00.250+00',
  ]);
  t.same(targetSettings({ kind: 'lsn', lsn: parseLsn('1/A0') }), ['recovery_target_lsn=1/A0']);
  t.same(targetSettings({ kind: 'latest' }), []);
});

t.test('the pause between two passes follows what may be lost', async (t) => {
  t.same(
    [6, 60, 900].map((rpo) => shipOptions(rpo).passSeconds),
    [1, 10, 10],
  );
});

t.test('what a yes gives up is told by what was reached, and by which cluster runs', async (t) => {
  let live = { systemIdentifier: '7', next: 12 };
  const context = {
    settings: { postgres: { container: 'db', image: 'a', superuser: 'postgres' } },
    engine: {
      containers: async () => [{ name: 'db', status: 'running' }],
      exec: async () => ({ exitCode: 0, stdout: JSON.stringify(live), stderr: '' }),
    },
  } as unknown as BackupContext;
  const lost = () => lostTransactions(context, { systemIdentifier: '7', next: 10 });
  t.equal(await lost(), 2);
  live = { systemIdentifier: '8', next: 3 };
  t.equal(await lost(), 'all');
  const now = new Date('2026-11-29T13:00:00Z');
  const target = { kind: 'time', time: new Date('2026-11-29T12:55:00Z') } as const;
  const lastCommit = '2026-11-29T12:43:00.000Z';
  const baseEndedAt = '2026-11-29T10:00:00.000Z';
  t.match(
    lossText(target, { lastCommit, baseEndedAt }, 'all', now),
    /ends at 2026-11-29T12:55.*another cluster, and everything that it holds would be missing\.\n/,
  );
  t.match(
    lossText(target, { lastCommit, isShort: true, baseEndedAt }, 2, now),
    /ends at 2026-11-29T12:43.*2 tran/,
  );
  for (const wish of [target, { kind: 'latest' } as const]) {
    t.match(
      lossText(wish, { lastCommit: undefined, isShort: true, baseEndedAt }, undefined, now),
      /ends at 2026-11-29T10:00.*, 3 h 0 min ago; its last commit was at a time before its base/,
      'no WAL follows the base',
    );
  }
});
