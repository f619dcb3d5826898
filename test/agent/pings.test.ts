import { writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { type Clock, systemClock } from '../../agent/clock.ts';
import { Heartbeats } from '../../agent/net/heartbeats.ts';
import { Pings } from '../../agent/net/pings.ts';
import { HandClock, pingServer, until } from './support.ts';

/** Waits are taken at a hundredth of their length, in the same order. */
const hurried: Clock = {
  now: () => systemClock.now(),
  after: (milliseconds, run) => systemClock.after(milliseconds / 100, run),
};

async function pinging(t: Test, answers: (number | 'hang up')[] = [], clock = hurried) {
  const server = await pingServer(answers);
  const secrets = t.testdir({ URL: `${server.url}\n` });
  const said: string[] = [];
  const pings = new Pings({ clock, secrets, log: (text) => said.push(text) });
  t.teardown(() => server.close());
  return { ...server, pings, said, secrets };
}

t.test('start, success and failure with its reason reach their addresses in order', async (t) => {
  const { pings, received } = await pinging(t);
  pings.send('URL', 'start');
  pings.send('URL', 'success');
  pings.send('URL', 'start');
  pings.send('URL', 'fail', 'exit code 12: the store refuses');
  await until('four pings', () => received.length === 4);
  t.strictSame(received, [
    { method: 'GET', path: '/ping/11111111-2222/start', body: '' },
    { method: 'GET', path: '/ping/11111111-2222', body: '' },
    { method: 'GET', path: '/ping/11111111-2222/start', body: '' },
    { method: 'POST', path: '/ping/11111111-2222/fail', body: 'exit code 12: the store refuses' },
  ]);
});

t.test('a ping is tried again within bounds, and the ones behind it wait', async (t) => {
  const { pings, received, said } = await pinging(t, ['hang up', 500, 200]);
  pings.send('URL', 'start');
  pings.send('URL', 'success');
  await until('all attempts', () => received.length === 4);
  t.strictSame(
    received.map(({ path }) => path.replace('/ping/11111111-2222', '')),
    ['/start', '/start', '/start', ''],
  );
  t.strictSame(said, []);
});

t.test('given up after four attempts; the log holds nothing of the address', async (t) => {
  const { pings, received, said } = await pinging(t, [500, 500, 500, 500]);
  pings.send('URL', 'success');
  await until('it was given up', () => said.length === 1);
  t.equal(received.length, 4);
  t.match(said[0], /ping URL \(success\) was not delivered: 127\.0\.0\.1:\d+ answered 500/);
  t.notMatch(said[0], /11111111/);
});

t.test(
  'a refusal is not repeated; a secret that is missing or no URL is said without it',
  async (t) => {
    const { pings, received, said, secrets } = await pinging(t, [404]);
    pings.send('URL', 'success');
    await until('refused', () => said.length === 1);
    t.equal(received.length, 1);
    pings.send('MISSING', 'success');
    await until('missing', () => said.length === 2);
    writeFileSync(`${secrets}/BROKEN`, 'hunter2 is no url');
    pings.send('BROKEN', 'success');
    await until('broken', () => said.length === 3);
    t.match(said.slice(1).join(), /MISSING.*not set.*BROKEN.*holds no URL/);
    t.notMatch(said.join(), /hunter2/);
  },
);

t.test('a rotated address counts at the next ping', async (t) => {
  const { pings, received, secrets, url } = await pinging(t);
  pings.send('URL', 'success');
  await until('the first', () => received.length === 1);
  writeFileSync(`${secrets}/URL`, url.replace('11111111', '99999999'));
  pings.send('URL', 'success');
  await until('the second', () => received.length === 2);
  t.equal(received[1]?.path, '/ping/99999999-2222');
});

t.test('a heartbeat beats at its interval until it is taken away', async (t) => {
  const clock = new HandClock('2026-05-01T00:00Z');
  const { pings, received } = await pinging(t, [], clock);
  const heartbeats = new Heartbeats(clock, pings);
  heartbeats.set([{ urlSecret: 'URL', everySeconds: 60 }]);
  for (let minute = 1; minute <= 3; minute += 1) {
    await until(`beat ${minute}`, () => received.length === minute);
    clock.moveTo(clock.now() + 60_000);
  }
  await until('beat 4', () => received.length === 4);
  heartbeats.set([]);
  clock.moveTo(clock.now() + 600_000);
  pings.send('URL', 'start');
  await until('the last', () => received.length === 5);
  t.equal(received[4]?.path, '/ping/11111111-2222/start', 'no beat came before it');
});
