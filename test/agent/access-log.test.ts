import { appendFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { AccessLog } from '../../agent/metrics/access-log.ts';
import { metricsText } from '../../agent/metrics/text-format.ts';

const line = (status = 200, seconds = 0.02, service = 'web') =>
  `${JSON.stringify({ time: 1, host: 'a.example', service, status, seconds, bytes: 10 })}\n`;

function following(t: Test, rotateAt = 1_000_000) {
  const folder = t.testdir({ 'access.json': '' });
  const path = `${folder}/access.json`;
  const said: string[] = [];
  const nginx = { isUp: true, reopened: 0 };
  const make = () =>
    new AccessLog({
      path,
      stateFile: `${folder}/requests.json`,
      rotateAt,
      keep: 2,
      reopen: async () => {
        if (!nginx.isUp) throw new Error('no such container');
        nginx.reopened += 1;
        appendFileSync(path, '');
      },
      log: (text) => said.push(text),
    });
  const total = (log: AccessLog) => {
    const text = metricsText(log.metrics());
    return [...text.matchAll(/requests_total\{.*\} (\d+)/g)].reduce(
      (sum, [, n]) => sum + Number(n),
      0,
    );
  };
  return { path, make, said, nginx, total };
}

t.test('requests are counted by host, service and class, with their durations', async (t) => {
  const { path, make } = following(t);
  appendFileSync(path, line() + line(204, 0.3) + line(503, 12) + line(200, 0.001, 'api'));
  appendFileSync(path, 'no json\n{"host":1}\n');
  const log = make();
  await log.poll();
  const text = metricsText(log.metrics());
  t.match(
    text,
    'holdfast_http_requests_total{host="a.example",service="web",code_class="2xx"} 2\n',
  );
  t.match(
    text,
    'holdfast_http_requests_total{host="a.example",service="web",code_class="5xx"} 1\n',
  );
  t.match(text, 'request_duration_seconds_bucket{service="web",le="0.025"} 1\n');
  t.match(text, 'request_duration_seconds_bucket{service="web",le="0.5"} 2\n');
  t.match(text, 'request_duration_seconds_bucket{service="web",le="+Inf"} 3\n');
  t.match(text, 'request_duration_seconds_count{service="web"} 3\n');
  t.match(text, 'request_duration_seconds_sum{service="web"} 12.32\n');
});

t.test('nothing is lost or counted twice over half lines and restarts', async (t) => {
  const { path, make, total } = following(t);
  const log = make();
  appendFileSync(path, line() + line().slice(0, 20));
  await log.poll();
  t.equal(total(log), 1);
  appendFileSync(path, line().slice(20));
  await log.poll();
  t.equal(total(log), 2);

  appendFileSync(path, line());
  const next = make();
  t.equal(total(next), 2, 'the counters go on');
  await next.poll();
  t.equal(total(next), 3);
});

t.test('a file that has grown is moved away without losing a line', async (t) => {
  const { path, make, total, nginx } = following(t, 2_000);
  const log = make();
  for (let round = 0; round < 50; round += 1) {
    appendFileSync(path, line().repeat(5));
    await log.poll();
    // A worker that has not let go of the old file yet.
    if (statSync(`${path}.old`, { throwIfNoEntry: false })) appendFileSync(`${path}.old`, line());
    else appendFileSync(path, line());
  }
  await log.poll();
  await log.poll();
  t.equal(total(log), 300);
  t.ok(nginx.reopened > 3, `${nginx.reopened} times`);
  t.ok(statSync(path).size < 4_000);
  const kept = ['.1', '.2', '.3'].map((end) =>
    statSync(`${path}${end}`, { throwIfNoEntry: false }),
  );
  t.match(kept, [{ size: Number }, { size: Number }, undefined], 'the last two stay for people');
});

t.test('nginx down in mid-turn, or the agent killed there: the next turns finish it', async (t) => {
  const { path, make, total, nginx, said } = following(t, 2_000);
  const log = make();
  nginx.isUp = false;
  appendFileSync(path, line().repeat(40));
  await log.poll();
  t.match(said, [/no such container/]);
  appendFileSync(`${path}.old`, line());
  await log.poll();
  t.equal(total(log), 41, 'it goes on in the file that was moved');
  nginx.isUp = true;
  const next = make();
  await next.poll();
  appendFileSync(path, line());
  await next.poll();
  t.equal(total(next), 42);
  t.equal(statSync(`${path}.old`, { throwIfNoEntry: false }), undefined);
});

t.test('a file that somebody else replaced or emptied is begun anew', async (t) => {
  const { path, make, total } = following(t);
  const log = make();
  appendFileSync(path, line().repeat(3));
  await log.poll();
  writeFileSync(path, line());
  await log.poll();
  t.equal(total(log), 4);
  renameSync(path, `${path}.elsewhere`);
  writeFileSync(path, line());
  await log.poll();
  t.equal(total(log), 5);
});

t.test('a large file is counted in constant memory', async (t) => {
  const { path, make, total } = following(t, 10 ** 12);
  const block = line().repeat(10_000);
  for (let count = 0; count < 40; count += 1) appendFileSync(path, block);
  const log = make();
  const before = process.memoryUsage().external;
  await log.poll();
  t.equal(total(log), 400_000);
  t.ok(process.memoryUsage().external - before < 4 * 1024 ** 2);
});
