import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { followRequests, lastRequests } from '../../installer/cli/request-log.ts';
import { LocalHost } from '../../installer/host/local.ts';

const host = new LocalHost();

t.test('the last requests, also of files that were moved away', async (t) => {
  const path = `${t.testdir({ 'access.json': 'five\n', 'access.json.old': 'four\n', 'access.json.1': 'one\ntwo\nthree\n' })}/access.json`;
  t.strictSame(await lastRequests(host, path, 3), ['three', 'four', 'five']);
  t.strictSame(await lastRequests(host, path, 1), ['five']);
  t.strictSame(await lastRequests(host, path, 9), ['one', 'two', 'three', 'four', 'five']);
  t.strictSame(await lastRequests(host, `${path}.none`, 9), [], 'before the first request');
  const long = 'x'.repeat(999);
  writeFileSync(path, `${long}\n`.repeat(12_000));
  const lines = await lastRequests(host, path, 12_003);
  t.strictSame([lines.length, lines[2], lines[3]], [12_003, 'four', long], 'without a hole');
});

t.test('they are followed, whatever becomes of the file, until it is enough', async (t) => {
  const path = `${t.testdir({ 'access.json': 'one\ntwo\n' })}/access.json`;
  const enough = new AbortController();
  const seen: string[] = [];
  let next = Promise.withResolvers<void>();
  const waitFor = async (line: string): Promise<void> => {
    while (!seen.includes(line)) await next.promise;
  };
  const following = followRequests(host, path, {
    tail: 1,
    signal: enough.signal,
    onLine: (line) => {
      seen.push(line);
      const told = next;
      next = Promise.withResolvers();
      told.resolve();
    },
  });
  await waitFor('two');
  // No UTF-8: what follows is read from its right place all the same.
  appendFileSync(path, Buffer.from([0xff, 0x0a]));
  appendFileSync(path, 'three\nha');
  await waitFor('three');
  appendFileSync(path, 'lf\nof the old\n');
  // As the agent moves it: longer ones lie there from before, and nginx goes on in the old file until it opens another.
  writeFileSync(`${path}.1`, 'ancient\n'.repeat(100));
  renameSync(path, `${path}.old`);
  await waitFor('of the old');
  appendFileSync(`${path}.old`, 'late\n');
  await waitFor('late');
  writeFileSync(path, 'new\n');
  await waitFor('new');
  renameSync(`${path}.1`, `${path}.2`);
  renameSync(`${path}.old`, `${path}.1`);
  appendFileSync(path, 'newer\n');
  await waitFor('newer');
  enough.abort();
  await following;
  const said = ['two', '\ufffd', 'three', 'half', 'of the old', 'late', 'new', 'newer'];
  t.strictSame(seen, said);
});
