import t from 'tap';
import { decideRetention, type KnownBackup } from '../../installer/backup/retention.ts';
import type { Retention } from '../../installer/model/backup-settings.ts';

const DAY = 86_400;

/** `2026-11-20` is a backup at 02:00 UTC that day; `?` marks an unverified one, `@…` the store's own time. */
function backup(text: string): KnownBackup {
  const [, name = '', time = 'T02:00', flag, stored] =
    /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2})?(\?)?(?:@(.+))?$/.exec(text) ?? [];
  const at = new Date(`${name}${time}:00Z`);
  return {
    id: text.replace(/[?@].*$/, ''),
    at,
    storedAt: stored === undefined ? at : new Date(`${stored}T02:00:00Z`),
    verified: flag === undefined,
  };
}

/** One backup a day, the last on `lastDay`. */
function daily(count: number, lastDay = '2026-11-20'): string[] {
  const last = new Date(`${lastDay}T02:00:00Z`).getTime();
  return Array.from({ length: count }, (_, index) =>
    new Date(last - (count - 1 - index) * DAY * 1000).toISOString().slice(0, 10),
  );
}

/** One backup an hour, the last at this time. */
function hourly(count: number, lastAt: string): string[] {
  const last = new Date(`${lastAt}:00Z`).getTime();
  return Array.from({ length: count }, (_, index) =>
    new Date(last - (count - 1 - index) * 3_600_000).toISOString().slice(0, 16),
  );
}

interface Row {
  readonly name: string;
  readonly backups: readonly string[];
  readonly rules: Retention;
  readonly now?: string;
  readonly timezone?: string;
  readonly reachBackSeconds?: number;
  /** Removed, oldest first. */
  readonly remove: readonly string[];
  readonly held?: RegExp;
}

const rows: readonly Row[] = [
  { name: 'nothing stored', backups: [], rules: { keepSeconds: DAY }, remove: [] },
  {
    name: 'a single backup stays for ever',
    backups: ['2020-01-01'],
    rules: { keepSeconds: DAY },
    remove: [],
  },
  { name: 'no rule keeps all', backups: daily(400), rules: {}, remove: [] },
  {
    name: 'counts of nought are no rule',
    backups: daily(10),
    rules: { daily: 0, weekly: 0, monthly: 0 },
    remove: [],
  },
  { name: 'all within the span', backups: daily(7), rules: { keepSeconds: 7 * DAY }, remove: [] },
  {
    name: 'exactly as old as the span is kept',
    backups: daily(8),
    rules: { keepSeconds: 7 * DAY },
    remove: [],
  },
  {
    name: 'one day over the span goes',
    backups: daily(9),
    rules: { keepSeconds: 7 * DAY },
    remove: ['2026-11-12'],
  },
  {
    name: 'three verified stay, however short the span',
    backups: daily(5),
    rules: { keepSeconds: 1 },
    remove: ['2026-11-16', '2026-11-17'],
  },
  {
    name: 'three verified, all older than the span, stay',
    backups: ['2026-11-01', '2026-11-05', '2026-11-09'],
    rules: { keepSeconds: DAY },
    remove: [],
  },
  {
    name: 'what a window begins with is rolled forward from the one before it',
    backups: ['2026-09-01', '2026-09-20', '2026-10-18', '2026-11-08', '2026-11-15', '2026-11-20'],
    rules: { keepSeconds: DAY },
    reachBackSeconds: 20 * DAY,
    remove: ['2026-09-01', '2026-09-20'],
  },
  {
    name: 'unverified ones do not count towards the three',
    backups: ['2026-11-15', '2026-11-16', '2026-11-17', '2026-11-18?', '2026-11-19'],
    rules: { keepSeconds: 1 },
    remove: ['2026-11-15', '2026-11-18'],
  },
  {
    name: 'no verified backup at all: nothing goes',
    backups: ['2026-10-01?', '2026-11-18?', '2026-11-19?', '2026-11-20?'],
    rules: { keepSeconds: DAY },
    remove: [],
    held: /could be verified/,
  },
  {
    name: 'nothing verified, and nothing due yet either',
    backups: ['2026-11-18?', '2026-11-19?', '2026-11-20?'],
    rules: { keepSeconds: DAY },
    remove: [],
  },
  {
    name: 'an unverified one newer than the last verified stays',
    backups: ['2026-11-10', '2026-11-11', '2026-11-12', '2026-11-13', '2026-11-14?', '2026-11-15?'],
    rules: { keepSeconds: 1 },
    remove: ['2026-11-10'],
  },
  {
    name: 'age counts from the last verified, not from unverified ones after it',
    backups: ['2026-11-01', '2026-11-02', '2026-11-03', '2026-11-04', '2026-11-09?', '2026-11-14?'],
    rules: { keepSeconds: 5 * DAY },
    remove: [],
  },
  {
    name: 'an expired unverified one goes when newer verified ones exist',
    backups: ['2026-11-01?', '2026-11-04', '2026-11-05', '2026-11-06', '2026-11-07'],
    rules: { keepSeconds: 3 * DAY },
    remove: ['2026-11-01'],
  },
  {
    name: 'this clock a year ahead expires nothing',
    backups: daily(30),
    rules: { keepSeconds: 30 * DAY },
    now: '2027-11-20T03:00:00Z',
    remove: [],
  },
  {
    name: 'a clock ahead when the newest was made: the store disagrees',
    backups: [...daily(40), '2027-11-20@2026-11-21'],
    rules: { keepSeconds: 30 * DAY },
    now: '2027-11-20T03:00:00Z',
    remove: [],
    held: /disagree/,
  },
  {
    name: 'a clock behind when the newest was made: the store disagrees',
    backups: ['2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04', '2026-01-05@2026-11-20'],
    rules: { keepSeconds: DAY },
    remove: [],
    held: /disagree/,
  },
  {
    name: 'a directory shares the wrong clock: the jump holds everything',
    backups: [...daily(40), '2027-11-20'],
    rules: { keepSeconds: 30 * DAY },
    now: '2027-11-20T03:00:00Z',
    remove: [],
    held: /365 days/,
  },
  {
    name: 'a second backup minutes after the jump does not hide it',
    backups: [...daily(40), '2027-11-20', '2027-11-20T02:30'],
    rules: { keepSeconds: 30 * DAY },
    now: '2027-11-20T03:00:00Z',
    remove: [],
    held: /365 days/,
  },
  {
    name: 'this clock behind the newest backup',
    backups: daily(40),
    rules: { keepSeconds: 30 * DAY },
    now: '2026-01-01T00:00:00Z',
    remove: [],
    held: /future/,
  },
  {
    name: 'minutes of difference between machines are normal',
    backups: daily(9),
    rules: { keepSeconds: 7 * DAY },
    now: '2026-11-20T01:30:00Z',
    remove: ['2026-11-12'],
  },
  {
    name: 'a pause within reason is no jump',
    backups: ['2026-11-01', '2026-11-02', '2026-11-03', '2026-11-04', '2026-11-10'],
    rules: { keepSeconds: 8 * DAY },
    remove: ['2026-11-01'],
  },
  {
    name: 'weekly backups are no jumps',
    backups: ['2026-10-16', '2026-10-23', '2026-10-30', '2026-11-06', '2026-11-13', '2026-11-20'],
    rules: { keepSeconds: 28 * DAY },
    remove: ['2026-10-16'],
  },
  {
    name: 'daily: one per day, the newest of it',
    backups: [
      '2026-11-17T14:00',
      '2026-11-18T02:00',
      '2026-11-18T14:00',
      '2026-11-19T02:00',
      '2026-11-19T14:00',
      '2026-11-20T02:00',
      '2026-11-20T14:00',
    ],
    rules: { daily: 3 },
    now: '2026-11-20T15:00:00Z',
    remove: ['2026-11-17T14:00', '2026-11-18T02:00', '2026-11-19T02:00'],
  },
  {
    name: 'daily: days without a backup do not use up the count',
    backups: ['2026-11-01', '2026-11-03', '2026-11-05', '2026-11-07', '2026-11-09'],
    rules: { daily: 4 },
    remove: ['2026-11-01'],
  },
  {
    name: 'daily: the day is the day of the time zone',
    backups: [
      '2026-11-16T02:00',
      '2026-11-17T22:30',
      '2026-11-17T23:30',
      '2026-11-18T02:00',
      '2026-11-19T02:00',
      '2026-11-20T02:00',
    ],
    rules: { daily: 4 },
    timezone: 'Europe/Paris',
    remove: ['2026-11-16T02:00', '2026-11-17T23:30'],
  },
  {
    name: 'weekly: weeks begin on Monday',
    backups: ['2026-11-01', '2026-11-02', '2026-11-08', '2026-11-09', '2026-11-15', '2026-11-16'],
    rules: { weekly: 3 },
    remove: ['2026-11-01', '2026-11-02'],
  },
  {
    name: 'weekly: a week over new year is one week',
    backups: [
      '2026-12-27',
      '2026-12-31',
      '2027-01-02',
      '2027-01-03',
      '2027-01-04',
      '2027-01-11',
      '2027-01-12',
    ],
    rules: { weekly: 3 },
    now: '2027-01-12T03:00:00Z',
    remove: ['2026-12-27', '2026-12-31', '2027-01-02'],
  },
  {
    name: 'monthly: the newest of each month',
    backups: [
      '2026-08-01',
      '2026-08-31',
      '2026-09-30',
      '2026-10-15',
      '2026-10-31',
      '2026-11-18',
      '2026-11-19',
      '2026-11-20',
    ],
    rules: { monthly: 3 },
    remove: ['2026-08-01', '2026-08-31', '2026-10-15'],
  },
  {
    name: 'monthly: 29 February belongs to February',
    backups: ['2028-01-31', '2028-02-28', '2028-02-29', '2028-03-01', '2028-03-02', '2028-03-03'],
    rules: { monthly: 2 },
    now: '2028-03-03T03:00:00Z',
    remove: ['2028-01-31', '2028-02-28'],
  },
  {
    name: 'daily: the 25 hours of the day that summer time ends on are one day',
    backups: [
      '2026-10-23T22:30',
      '2026-10-24T22:30',
      '2026-10-25T22:30',
      '2026-10-25T23:30',
      '2026-10-26T23:30',
    ],
    rules: { daily: 4 },
    timezone: 'Europe/Paris',
    remove: ['2026-10-24T22:30'],
  },
  {
    name: 'a span and counts together: either keeps',
    backups: ['2026-09-30', '2026-10-14', '2026-10-31', ...daily(5)],
    rules: { keepSeconds: 2 * DAY, monthly: 2 },
    now: '2026-11-20T03:00:00Z',
    remove: ['2026-09-30', '2026-10-14', '2026-11-16', '2026-11-17'],
  },
  {
    name: 'days, weeks and months together',
    backups: [...daily(60)],
    rules: { daily: 3, weekly: 2, monthly: 2 },
    remove: daily(60).filter(
      (day) =>
        !['2026-11-20', '2026-11-19', '2026-11-18', '2026-11-15', '2026-10-31'].includes(day),
    ),
  },
  {
    name: 'an unverified one never stands for its day',
    backups: ['2026-11-14', '2026-11-15', '2026-11-16?', '2026-11-17', '2026-11-18', '2026-11-19'],
    rules: { daily: 4 },
    remove: ['2026-11-14', '2026-11-16'],
  },
];

for (const row of rows) {
  t.test(row.name, async (t) => {
    const input = {
      backups: row.backups.map(backup),
      rules: row.rules,
      now: new Date(row.now ?? '2026-11-20T03:00:00Z'),
      timezone: row.timezone ?? 'UTC',
      ...(row.reachBackSeconds === undefined ? {} : { reachBackSeconds: row.reachBackSeconds }),
    };
    if (row.now === undefined) {
      const last = Math.max(...input.backups.map(({ at }) => at.getTime()), 0);
      input.now = new Date(last + 3_600_000);
    }
    const decision = decideRetention(input);
    t.strictSame(decision.remove, row.remove);
    if (row.held === undefined) t.equal(decision.held, undefined);
    else t.match(decision.held, row.held);
    t.strictSame(
      [...decision.keep, ...decision.remove].sort(),
      input.backups.map(({ id }) => id).sort(),
      'each backup is either kept or removed',
    );
  });
}

/** Decides after each backup, as each run does, and forgets what was removed. @returns what is left, newest first */
function runByRun(backups: readonly string[], rules: Retention) {
  let left: KnownBackup[] = [];
  let jumpedAt: Date | undefined;
  let held: string | undefined;
  for (const one of backups.map(backup)) {
    const decision = decideRetention({
      ...{ backups: [...left, one], rules, now: one.at, timezone: 'UTC', jumpedAt },
    });
    ({ jumpedAt, held } = decision);
    left = [...left, one].filter(({ id }) => decision.keep.includes(id));
  }
  return { left: left.map(({ id }) => id).reverse(), held };
}

t.test('hourly backups by a clock that jumped push nothing out for a week', async (t) => {
  const before = daily(20, '2026-09-21');
  const rules = { keepSeconds: 30 * DAY };
  // The first is of 2026-11-20T01:00.
  const soon = runByRun([...before, ...hourly(168, '2026-11-27T00:00')], rules);
  t.equal(soon.left.length, 20 + 168);
  t.match(soon.held, /a long pause ended less than 7 days ago, with 2026-11-20T01:00/);
  const later = runByRun([...before, ...hourly(169, '2026-11-27T01:00')], rules);
  t.equal(later.left.length, 169, 'the pause is believed');
  t.equal(later.held, undefined);
  const again = [...daily(3, '2026-09-21'), '2026-11-01', '2026-11-08'];
  t.match(runByRun(again, rules).held, /41 days lie between/, 'nor without three backups');
});

t.test('pauses that the rules leave between old backups are no jumps', async (t) => {
  const { left, held } = runByRun(daily(120), { keepSeconds: 2 * DAY, monthly: 3 });
  t.equal(held, undefined);
  t.strictSame(left, ['2026-11-20', '2026-11-19', '2026-11-18', '2026-10-31', '2026-09-30']);
});

t.test('a jump that was undone, and its backups removed, holds nothing up', async (t) => {
  const decision = decideRetention({
    ...{ backups: daily(9).map(backup), rules: { keepSeconds: 7 * DAY }, timezone: 'UTC' },
    ...{ now: new Date('2026-11-20T03:00:00Z'), jumpedAt: new Date('2027-01-01T00:00:00Z') },
  });
  t.strictSame(decision.remove, ['2026-11-12']);
});

t.test('over a thousand random histories the last verified backup always stays', async (t) => {
  let seed = 42;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  for (let round = 0; round < 1000; round += 1) {
    const start = Date.UTC(2026, 0, 1);
    const backups = Array.from({ length: random(40) }, (_, index): KnownBackup => {
      const at = new Date(start + random(400 * DAY) * 1000);
      return { id: `${index}`, at, storedAt: at, verified: random(3) > 0 };
    });
    const decision = decideRetention({
      backups,
      rules: { keepSeconds: 1 + random(60 * DAY), daily: random(5), monthly: random(3) },
      now: new Date(start + random(500 * DAY) * 1000),
      timezone: 'UTC',
    });
    const verified = backups
      .filter((one) => one.verified)
      .sort((a, b) => b.at.getTime() - a.at.getTime());
    for (const one of verified.slice(0, 3)) {
      if (!decision.keep.includes(one.id)) t.fail(`round ${round} removes ${one.id}`);
    }
  }
  t.pass();
});
