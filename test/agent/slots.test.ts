import t from 'tap';
import { latestSlot, nextSlot, processOffset } from '../../agent/schedule/slots.ts';
import { cronTimes } from '../../installer/components/agent/cron-times.ts';
import type { ZoneOffset } from '../../installer/model/wall-clock.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The offset of any zone by Intl: an independent witness for the process' own. */
function zone(name: string): ZoneOffset {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' });
  const known = new Map<number, number>();
  const offset = (instant: number): number => {
    const text = format.formatToParts(instant).find(({ type }) => type === 'timeZoneName')?.value;
    const [, sign = '+', hours = '0', minutes = '0'] =
      /GMT([+-])(\d\d):(\d\d)/.exec(text ?? '') ?? [];
    return (sign === '-' ? -1 : 1) * (Number(hours) * HOUR + Number(minutes) * MINUTE);
  };
  // Zones change at quarters of an hour, and Intl is slow.
  return (instant) => {
    const quarter = Math.floor(instant / (15 * MINUTE));
    const value = known.get(quarter) ?? offset(quarter * 15 * MINUTE);
    known.set(quarter, value);
    return value;
  };
}

/** All slots of a span as the agent would meet them, minute by minute. */
function slots(cron: string, name: string, from: string, to: string): string[] {
  const schedule = { times: cronTimes(cron), offset: zone(name) };
  const found: string[] = [];
  for (let now = Date.parse(from); now <= Date.parse(to); now += MINUTE) {
    if (latestSlot(schedule, now - MINUTE, now) === now) {
      found.push(new Date(now).toISOString().slice(5, 16));
    }
  }
  return found;
}

t.test('a daily job runs once on each day of the year, also when clocks change', async (t) => {
  for (const name of ['Europe/Paris', 'America/New_York', 'Australia/Lord_Howe', 'Africa/Cairo']) {
    const offset = zone(name);
    for (const cron of ['30 2 * * *', '0 0 * * *', '15 1 * * *']) {
      const schedule = { times: cronTimes(cron), offset };
      let count = 0;
      let isTwice = false;
      let at = Date.parse('2026-01-01T12:00:00Z');
      const end = at + 365 * DAY;
      for (;;) {
        const next = nextSlot(schedule, at);
        if (next === undefined || next > end) break;
        isTwice ||= count > 0 && next - at < 22 * HOUR;
        at = next;
        count += 1;
      }
      t.equal(count, 365, `${cron} in ${name}`);
      t.notOk(isTwice, `${cron} in ${name}: no day twice`);
    }
  }
});

t.test('an hour that does not exist: the run comes at the first minute after it', async (t) => {
  // Paris puts its clocks forward on 2026-03-29, 01:00 UTC.
  t.strictSame(
    slots('30 2 * * *', 'Europe/Paris', '2026-03-29T00:00:00Z', '2026-03-29T03:00:00Z'),
    ['03-29T01:00'],
  );
  // Cairo loses the first hour of 2026-04-24.
  t.strictSame(slots('0 0 * * *', 'Africa/Cairo', '2026-04-23T20:00:00Z', '2026-04-24T02:00:00Z'), [
    '04-23T22:00',
  ]);
});

t.test('an hour that comes twice: the run comes in the first', async (t) => {
  // Paris puts its clocks back on 2026-10-25, 01:00 UTC.
  t.strictSame(
    slots('30 2 * * *', 'Europe/Paris', '2026-10-24T23:00:00Z', '2026-10-25T03:00:00Z'),
    ['10-25T00:30'],
  );
  // Lord Howe puts them back by half an hour only.
  t.strictSame(
    slots('45 1 * * *', 'Australia/Lord_Howe', '2026-04-04T13:00:00Z', '2026-04-04T17:00:00Z'),
    ['04-04T14:45'],
  );
});

t.test('jobs of every hour follow real time through both changes', async (t) => {
  const spring = slots(
    '*/30 * * * *',
    'Europe/Paris',
    '2026-03-29T00:00:00Z',
    '2026-03-29T02:00:00Z',
  );
  t.strictSame(spring, ['03-29T00:00', '03-29T00:30', '03-29T01:00', '03-29T01:30', '03-29T02:00']);
  const autumn = slots('0 * * * *', 'Europe/Paris', '2026-10-25T00:00:00Z', '2026-10-25T02:00:00Z');
  t.strictSame(autumn, ['10-25T00:00', '10-25T01:00', '10-25T02:00']);
});

t.test('a job of every second hour loses none', async (t) => {
  t.strictSame(
    slots('0 */2 * * *', 'Europe/Paris', '2026-03-28T22:30:00Z', '2026-03-29T03:00:00Z'),
    ['03-28T23:00', '03-29T01:00', '03-29T02:00'],
  );
});

t.test('day and weekday together mean either, as cron(5) has it', async (t) => {
  const either = { times: cronTimes('0 5 1 * 1'), offset: () => 0 };
  t.equal(nextSlot(either, Date.parse('2026-06-01T06:00Z')), Date.parse('2026-06-08T05:00Z'));
  t.equal(nextSlot(either, Date.parse('2026-06-29T06:00Z')), Date.parse('2026-07-01T05:00Z'));
  const first = { times: cronTimes('0 2 * * 0'), offset: () => 0, firstWeekOnly: true };
  t.equal(nextSlot(first, Date.parse('2026-06-08T00:00Z')), Date.parse('2026-07-05T02:00Z'));
});

t.test('far slots are found quickly, and impossible ones given up', async (t) => {
  const started = performance.now();
  const leap = { times: cronTimes('0 0 29 2 *'), offset: zone('Europe/Paris') };
  t.equal(nextSlot(leap, Date.parse('2028-03-01T00:00Z')), Date.parse('2032-02-28T23:00Z'));
  t.equal(latestSlot(leap, 0, Date.parse('2027-01-01T00:00Z')), Date.parse('2024-02-28T23:00Z'));
  const never = { ...cronTimes('0 0 * 2 *'), days: [30] };
  t.equal(nextSlot({ times: never, offset: () => 0 }, 0), undefined);
  t.ok(performance.now() - started < 4_000);
});

t.test('a schedule that never comes is refused with its text', async (t) => {
  t.throws(() => cronTimes('0 0 30 2 *'), { code: 'config/invalid', what: /0 0 30 2 \*/ });
});

t.test('the offset of the process agrees with Intl in any zone', async (t) => {
  const before = process.env['TZ'];
  t.teardown(() => {
    process.env['TZ'] = before;
  });
  for (const name of ['Europe/Paris', 'Australia/Lord_Howe', 'America/St_Johns', 'UTC']) {
    process.env['TZ'] = name;
    const witness = zone(name);
    for (
      let at = Date.parse('2026-01-01T00:00Z');
      at < Date.parse('2027-01-01T00:00Z');
      at += 6 * HOUR
    ) {
      if (processOffset(at) !== witness(at)) t.fail(`${name} at ${new Date(at).toISOString()}`);
    }
    t.pass(name);
  }
});
