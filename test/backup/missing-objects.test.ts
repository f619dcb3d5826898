import t from 'tap';
import { missingAt } from '../../installer/backup/buckets/missing-objects.ts';
import type { StoredFile } from '../../installer/backup/store/store.ts';

const NOON = Date.parse('2026-11-29T12:00:00Z');
const HOUR = 3_600_000;

function file(key: string, hour = 0, size = 1): StoredFile {
  return { key, size, storedAt: new Date(NOON + hour * HOUR) };
}

async function* listed(...files: StoredFile[]): AsyncGenerator<StoredFile> {
  yield* files;
}

async function missing(origin: StoredFile[], copies: StoredFile[]): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of missingAt(listed(...origin), listed(...copies))) keys.push(key);
  return keys;
}

t.test('what is not there, has another size, or was stored after its copy', async (t) => {
  const origin = [file('a'), file('b'), file('c', 0, 2), file('d', 3), file('e'), file('g')];
  const copies = [
    file('a', 1),
    file('aa', 1),
    file('c', 1),
    file('d', 1),
    file('e', 1),
    file('f', 1),
  ];
  t.strictSame(await missing(origin, copies), ['b', 'c', 'd', 'g']);
  t.strictSame(await missing(origin, []), ['a', 'b', 'c', 'd', 'e', 'g']);
  t.strictSame(await missing([], copies), []);
});

t.test(
  'an object that was stored minutes before its copy may be newer, by the other clock',
  async (t) => {
    t.strictSame(await missing([file('a')], [file('a', 0.2)]), ['a']);
    t.strictSame(await missing([file('a')], [file('a', 0.3)]), []);
  },
);

t.test('keys are in the order of their bytes, which is not that of UTF-16', async (t) => {
  const keys = ['Z', 'a', 'é', '\u{ff5e}', '\u{1f600}'];
  const files = keys.map((key) => file(key));
  const copies = keys.map((key) => file(key, 1));
  t.strictSame(await missing(files, copies), []);
  await t.rejects(missing([...files].reverse(), copies), { code: 'store/unsorted' });
  await t.rejects(missing(files, [copies[1], copies[0]] as StoredFile[]), {
    code: 'store/unsorted',
  });
});
