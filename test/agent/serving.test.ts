import t from 'tap';
import {
  countRestart,
  isGivenUp,
  nextRestart,
  type RestartCandidate,
} from '../../agent/replicas/restart-policy.ts';
import { type Candidate, whoServes } from '../../agent/replicas/serving.ts';
import { newcomer, type Standing } from '../../agent/replicas/standing.ts';

const MINUTE = 60_000;

function standing(fields: Partial<Standing> = {}): Standing {
  return { ...newcomer(0), ...fields };
}

const SICK = standing({ verdict: 'sick', failures: 3, why: 'status 500' });
const DOWN = standing({ verdict: 'sick', stopped: true, why: 'it has exited' });
const RISING = standing({ verdict: 'sick', successes: 1 });

function serving(...replicas: [string, Standing, boolean][]): string {
  const candidates = replicas.map(
    ([id, own, isServing]): Candidate => ({ id, standing: own, isServing }),
  );
  return [...whoServes(candidates)].join('');
}

t.test('sick ones are taken out and come back', async (t) => {
  t.equal(serving(['a', standing(), true], ['b', standing(), true]), 'ab');
  t.equal(serving(['a', standing(), true], ['b', SICK, true]), 'a');
  t.equal(serving(['a', standing(), true], ['b', standing(), false]), 'ab');
});

t.test('the last one is never taken out', async (t) => {
  t.equal(serving(['a', SICK, true]), 'a');
  t.equal(serving(['a', DOWN, true]), 'a');
  t.equal(serving(['a', SICK, false], ['b', SICK, true]), 'b', 'it stays, the other stays out');
  t.equal(
    serving(['a', standing(), false], ['b', SICK, true]),
    'a',
    'until somebody is well again',
  );
});

t.test('when nobody is trusted, who answers or at least runs takes over', async (t) => {
  t.equal(serving(['a', RISING, false], ['b', SICK, true]), 'a');
  t.equal(serving(['a', SICK, false], ['b', DOWN, true]), 'a', 'b cannot answer at all');
  t.equal(serving(['a', DOWN, false], ['b', DOWN, true]), 'b');
  t.equal(serving(['a', SICK, false], ['b', SICK, false]), 'ab', 'a state that nobody left behind');
});

function candidate(id: string, fields: Partial<RestartCandidate> = {}): RestartCandidate {
  return {
    service: 'web',
    id,
    standing: SICK,
    isServing: false,
    restarts: undefined,
    startedAt: undefined,
    ...fields,
  };
}

t.test('a sick replica is restarted after a minute, then after two, four and eight', async (t) => {
  const at: number[] = [];
  let restarts: RestartCandidate['restarts'];
  for (let now = 0; now < 120 * MINUTE; now += 5_000) {
    const due = nextRestart([candidate('a', { restarts })], now);
    if (due === undefined) continue;
    at.push(now / MINUTE);
    restarts = countRestart(restarts, now);
  }
  t.strictSame(at, [1, 3, 7, 15, 31], 'five times, then a person has to look');
  t.equal(isGivenUp(restarts, 32 * MINUTE), true);
  t.equal(isGivenUp(restarts, 10 * 60 * MINUTE), false, 'the next day it is tried again');
});

t.test('never two at once: one after the other, with time to get well', async (t) => {
  const now = 10 * MINUTE;
  const all = ['a', 'b', 'c'].map((id) => candidate(id));
  t.equal(nextRestart(all, now)?.id, 'a');
  const first = candidate('a', { restarts: { count: 1, lastAt: now } });
  const others = [candidate('b'), candidate('c', { service: 'api' })];
  t.equal(nextRestart([first, ...others], now + 20_000), undefined, 'nobody right after it');
  t.equal(nextRestart([first, ...others], now + 40_000)?.id, 'c', 'another service may');
  const [b = first] = others;
  t.equal(nextRestart([first, b], now + 61_000), undefined, 'its start may take longer');
  t.equal(nextRestart([first, b], now + 121_000)?.id, 'b', 'its time is over, and it had a turn');
  const again = candidate('a', { restarts: { count: 3, lastAt: now } });
  t.equal(nextRestart([again, b], now + 7 * MINUTE), undefined, 'it takes ever longer');
  t.equal(nextRestart([again, b], now + 8 * MINUTE)?.id, 'b');
  const givenUp = candidate('a', { restarts: { count: 5, lastAt: now } });
  t.equal(nextRestart([givenUp, b], now + 8 * MINUTE)?.id, 'b', 'not for ever');
  const well = { ...first, standing: standing() };
  t.equal(nextRestart([well, ...others], now + 40_000)?.id, 'b', 'or it is well');
});

t.test('what has only just been started, by whomever, has a minute for it', async (t) => {
  const now = 10 * MINUTE;
  const started = candidate('a', { startedAt: now - 5_000 });
  t.equal(nextRestart([started], now), undefined);
  t.equal(nextRestart([started], now + 55_000)?.id, 'a');
});

t.test('who serves nobody goes first; what does not run is left to the engine', async (t) => {
  const now = 10 * MINUTE;
  t.equal(nextRestart([candidate('a', { isServing: true }), candidate('b')], now)?.id, 'b');
  t.equal(nextRestart([candidate('a', { isServing: true })], now)?.id, 'a', 'also the last one');
  t.equal(nextRestart([candidate('a', { standing: DOWN })], now), undefined);
  t.equal(nextRestart([candidate('a', { standing: standing() })], now), undefined);
});
