import t from 'tap';
import {
  type AttemptRecord,
  atTime,
  type DecideInput,
  decide,
  fractionOf,
  NO_RECORD,
  renewalTime,
} from '../../installer/acme/decide.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.parse('2026-11-28T12:00:00Z');

function ask(more: Partial<DecideInput>) {
  return decide({
    now: NOW,
    fraction: 0,
    validity: { from: NOW - 10 * DAY, until: NOW + 80 * DAY },
    fits: true,
    record: NO_RECORD,
    urgentOnly: false,
    force: false,
    ...more,
  });
}

const failed = (failures: number, ago: number): AttemptRecord => ({
  failures,
  attempts: [NOW - ago],
  issued: [],
});

for (const days of [90, 47, 6]) {
  t.test(
    `a certificate of ${days} days is renewed with a third left, and later by jitter`,
    async (t) => {
      const life = days * DAY;
      for (const fraction of [0, 0.5, 0.999]) {
        const validity = { from: NOW, until: NOW + life };
        const dueAt = renewalTime(validity, fraction);
        t.ok(dueAt >= NOW + (life * 2) / 3, `never sooner than a third (${fraction})`);
        t.ok(validity.until - dueAt > life / 4, 'and more than a quarter is left');
        t.match(ask({ validity, fraction, now: dueAt - 1 }), { act: 'none', dueAt });
        t.match(ask({ validity, fraction, now: dueAt }), { act: 'issue', reason: 'renewal' });
        const late = { validity, fraction, urgentOnly: true };
        t.match(ask({ ...late, now: dueAt }), { act: 'none' }, 'the hourly look waits');
        t.match(ask({ ...late, now: validity.until - life / 5 }), { act: 'issue' });
      }
    },
  );
}

t.test('what is missing or has other names is asked for, also by the hourly look', async (t) => {
  for (const urgentOnly of [false, true]) {
    t.match(ask({ validity: undefined, urgentOnly }), { act: 'issue', reason: 'missing' });
    t.match(ask({ fits: false, urgentOnly }), { act: 'issue', reason: 'misfit' });
  }
});

t.test('after failures it waits an hour, then twice as long, up to a day', async (t) => {
  const until = (failures: number) =>
    ask({ validity: undefined, record: failed(failures, 0) }) as { until: number };
  t.strictSame(
    [1, 2, 3, 4, 5, 6, 20].map((failures) => (until(failures).until - NOW) / HOUR),
    [1, 2, 4, 8, 16, 24, 24],
  );
  t.match(ask({ validity: undefined, record: failed(1, HOUR) }), { act: 'issue' });
  t.match(ask({ validity: undefined, record: failed(1, 0), force: true }), { act: 'issue' });
});

t.test("the authority's limits hold, whoever asks", async (t) => {
  const force = true;
  const often = { ...failed(4, 0), attempts: [40, 30, 20, 10].map((m) => NOW - m * 60_000) };
  t.match(ask({ validity: undefined, record: often, force }), {
    act: 'wait',
    why: 'limit',
    until: NOW + 20 * 60_000,
  });
  const issued = [6, 5, 4, 1].map((days) => NOW - days * DAY);
  t.match(ask({ validity: undefined, record: { ...NO_RECORD, issued }, force }), {
    act: 'wait',
    until: NOW + DAY,
  });
  const asked = { ...NO_RECORD, retryAt: NOW + 5 * HOUR };
  t.match(ask({ validity: undefined, record: asked, force }), { act: 'wait', why: 'asked' });
});

t.test('a clock that jumps ahead issues once, not again and again', async (t) => {
  // The authority's certificate begins at its own time: by ours it is due at once.
  const validity = { from: NOW - 100 * DAY, until: NOW - 10 * DAY };
  const issued = [3, 2, 1, 0].map((hours) => NOW - hours * HOUR);
  t.match(ask({ validity, record: { ...NO_RECORD, issued } }), { act: 'wait', why: 'limit' });
});

t.test('a clock that jumps back makes no pause longer than it is', async (t) => {
  const future = NOW + 300 * DAY;
  const record: AttemptRecord = {
    failures: 2,
    attempts: [future],
    issued: [future],
    retryAt: future,
  };
  const now = atTime(record, NOW);
  t.strictSame(now, { failures: 2, attempts: [NOW], issued: [NOW], retryAt: NOW + 7 * DAY });
  const { retryAt: _asked, ...rest } = now;
  t.match(ask({ validity: undefined, record: rest }), { act: 'wait', until: NOW + 2 * HOUR });
  t.match(
    ask({ validity: { from: NOW + 30 * DAY, until: NOW + 120 * DAY } }),
    { act: 'none' },
    'a certificate of the future is not asked for again',
  );
});

t.test('what is old is forgotten, so that records stay small', async (t) => {
  const record = { failures: 0, attempts: [NOW - 3 * DAY], issued: [NOW - 8 * DAY, NOW - DAY] };
  t.strictSame(atTime(record, NOW), { failures: 0, attempts: [], issued: [NOW - DAY] });
});

t.test('the jitter of a certificate stays, and differs from that of others', async (t) => {
  t.equal(fractionOf('a.example.com 01'), fractionOf('a.example.com 01'));
  const all = Array.from({ length: 200 }, (_, index) => fractionOf(`host-${index} 01`));
  t.ok(Math.min(...all) < 0.05 && Math.max(...all) > 0.95, 'spread over the whole range');
});

t.test('what the authority suggests outweighs the third, within its window', async (t) => {
  const validity = { from: NOW - 10 * DAY, until: NOW + 80 * DAY };
  const suggested = { from: NOW + 20 * DAY, until: NOW + 22 * DAY };
  for (const fraction of [0, 0.5, 0.999]) {
    const dueAt = renewalTime(validity, fraction, suggested);
    t.ok(dueAt >= suggested.from && dueAt <= suggested.until, 'spread over the window');
    t.match(ask({ validity, fraction, suggested, now: dueAt - 1 }), { act: 'none', dueAt });
    t.match(ask({ validity, fraction, suggested, now: dueAt }), { act: 'issue' });
  }
  const late = { from: NOW + 79 * DAY, until: NOW + 80 * DAY };
  const quarter = validity.until - (90 * DAY) / 4;
  t.equal(renewalTime(validity, 0.5, late), quarter, 'never so late that a failure is dangerous');
});

t.test('a certificate that will be taken back is renewed by the hourly look too', async (t) => {
  const urgentOnly = true;
  const open = { from: NOW - DAY, until: NOW + DAY };
  t.match(ask({ suggested: open, urgentOnly }), { act: 'none' }, 'a window that is open can wait');
  const over = { from: NOW - 2 * DAY, until: NOW - DAY };
  t.match(ask({ suggested: over, urgentOnly }), { act: 'issue', reason: 'renewal' });
  t.match(ask({ suggested: over, urgentOnly, record: failed(1, 0) }), { act: 'wait' });
});

/** Hourly looks, one a day for all that is due; `isDown` says how long after an issue the authority fails. */
function live(span: number, life: number, fraction: number, isDown: (since: number) => boolean) {
  let record: AttemptRecord = NO_RECORD;
  let validity: DecideInput['validity'];
  const seen = { issued: 0, expiredHours: 0 };
  for (let now = NOW; now < NOW + span; now += HOUR) {
    record = atTime(record, now);
    const urgentOnly = new Date(now).getUTCHours() !== 3;
    const decision = ask({ now, fraction, validity, record, urgentOnly });
    if (decision.act === 'issue') {
      const attempts = [...record.attempts, now];
      if (validity !== undefined && isDown(now - validity.from)) {
        const problem = { code: 'x', what: 'x', hint: 'x', at: now };
        record = { ...record, attempts, failures: record.failures + 1, problem };
      } else {
        seen.issued += 1;
        validity = { from: now, until: now + life };
        record = { failures: 0, attempts, issued: [...record.issued, now] };
      }
    }
    if (validity !== undefined && now >= validity.until) seen.expiredHours += 1;
  }
  return seen;
}

for (const hours of [24, 48, 6 * 24, 47 * 24, 90 * 24]) {
  t.test(`a chain of certificates of ${hours} h never ends, by as few as can be`, async (t) => {
    const life = hours * HOUR;
    const span = Math.max(21 * DAY, 3 * life);
    for (const fraction of [0, 0.5, 0.999]) {
      const { issued, expiredHours } = live(span, life, fraction, () => false);
      t.equal(expiredHours, 0);
      t.ok(issued <= Math.ceil(span / (life * (2 / 3))), `${issued} issued`);
      const down = live(span, life, fraction, (since) => since < life * 0.85);
      t.equal(down.expiredHours, 0, 'nor by pauses after failures that last until near its end');
    }
  });
}

t.test('changes of names never keep a short certificate from its renewal', async (t) => {
  const life = DAY;
  const issued = [3, 2, 1, 0].map((minutes) => NOW - minutes * 60_000);
  const validity = { from: NOW, until: NOW + life };
  const held = { validity, record: { ...NO_RECORD, issued } };
  t.match(ask({ ...held, fits: false, now: NOW + HOUR }), { act: 'wait', why: 'limit' });
  t.match(ask({ ...held, now: NOW + life * 0.75, urgentOnly: true }), { act: 'issue' });
});
