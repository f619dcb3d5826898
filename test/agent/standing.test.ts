import t from 'tap';
import {
  type HealthRule,
  judged,
  knownSick,
  neededSuccesses,
  newcomer,
  type Standing,
  stopped,
} from '../../agent/replicas/standing.ts';

const RULE: HealthRule = { healthy: 2, unhealthy: 3 };
const SECOND = 1_000;

/** Answers as letters, one every ten seconds: `+` well, `-` not. */
function after(answers: string, start: Standing = newcomer(0), from = 0): Standing {
  return [...answers].reduce(
    (standing, answer, index) =>
      judged(
        standing,
        answer === '+' ? { ok: true, why: '' } : { ok: false, why: 'status 500' },
        RULE,
        from + (index + 1) * 10 * SECOND,
      ),
    start,
  );
}

t.test('the third failure in a row makes a replica sick, and no sooner', async (t) => {
  t.equal(after('').verdict, 'trusted', 'it was healthy when it was started');
  t.equal(after('--').verdict, 'trusted');
  t.equal(after('--+--+--').verdict, 'trusted', 'a success in between begins anew');
  t.match(after('+---'), { verdict: 'sick', since: 40 * SECOND, why: 'status 500' });
});

t.test('the second success in a row brings it back, and no sooner', async (t) => {
  t.equal(after('---+').verdict, 'sick');
  t.equal(after('---+-+-+').verdict, 'sick');
  t.match(after('---++'), { verdict: 'trusted', since: 50 * SECOND, why: '' });
  t.equal(after('+', knownSick(0, 'of a former agent')).verdict, 'sick');
  t.equal(after('++', knownSick(0, 'of a former agent')).verdict, 'trusted');
});

t.test('who falls sick again and again has to answer well for longer each time', async (t) => {
  const once = after('---++---');
  t.match(once, { verdict: 'sick', relapses: 1 });
  t.equal(neededSuccesses(once, RULE), 4);
  t.equal(after('+++', once).verdict, 'sick');
  t.equal(after('++++', once).verdict, 'trusted');
  const often = after(`---++---++++---++++++++---${'+'.repeat(16)}---${'+'.repeat(32)}---`);
  t.equal(neededSuccesses(often, RULE), 32, 'sixteen times as long at most');
});

t.test('ten good minutes make good what was', async (t) => {
  const returned = after('---++');
  const later = returned.since + 10 * 60 * SECOND;
  t.match(after('---', returned, later), { verdict: 'sick', relapses: 0 });
  t.match(after('---', returned, later - 60 * SECOND), { verdict: 'sick', relapses: 1 });
});

t.test(
  'a container that does not run is sick at once, and back by the same successes',
  async (t) => {
    const down = stopped(after('+'), 'it has exited', 20 * SECOND);
    t.match(down, { verdict: 'sick', stopped: true, why: 'it has exited', since: 20 * SECOND });
    t.equal(stopped(down, 'it has exited', 30 * SECOND).since, 20 * SECOND);
    t.match(after('+', down), { verdict: 'sick', stopped: false });
    t.match(after('++', down), { verdict: 'trusted', stopped: false });
  },
);
