import { cpSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { applyRetention } from '../../installer/backup/apply-retention.ts';
import { findBackups } from '../../installer/backup/find-backups.ts';
import { localCopiesFolder } from '../../installer/backup/local-copy.ts';
import { basesFor, type RollForward } from '../../installer/backup/restore/choose-base.ts';
import { DirectoryStore } from '../../installer/backup/store/directory-store.ts';
import type { StoredFile } from '../../installer/backup/store/store.ts';
import { noteStored } from '../../installer/backup/stored-by-us.ts';
import { pruneWal } from '../../installer/backup/wal/prune-wal.ts';
import { segmentName } from '../../installer/backup/wal/segment.ts';
import type { PitrSettings } from '../../installer/model/backup-settings.ts';
import { baseLab, IDS, JOB, SEGMENT } from '../support/base-lab.ts';

t.test('after a restore every moment since is in reach, however little was written', async (t) => {
  const { base, wal, segments, at } = baseLab(t);
  await base(IDS.first, { index: 1 });
  await segments([1, 1, 10]);
  await segments([2, 5, 7], { hour: 11 });
  const open = segmentName({ timeline: 2, index: 8 }, SEGMENT);
  await wal({ kind: 'partial', name: open }, '2026-11-29T11:08:00Z');
  await wal({ kind: 'history', name: '00000002.history' }, '2026-11-29T11:05:00Z');
  for (const time of ['11:07:00', '11:30:00', '12:59:00']) {
    const [found] = await at(time);
    t.equal(found?.chain.missing, undefined, time);
  }
  await segments([2, 10, 10], { hour: 12 });
  t.equal((await at('11:07:00')).length, 1);
  await t.rejects(at('12:59:00'), {
    code: 'restore/outside-window',
    why: 'what can be reached is 2026-11-29T10:00:30.000Z to 2026-11-29T11:08:00.000Z',
  });
});

t.test(
  'a moment before a restore is reached as it was, also past where that went back to',
  async (t) => {
    const { context, store, base, history, segments, at } = baseLab(t);
    const ways = async (time: string) =>
      (await at(time)).map(({ backup: { manifest }, timeline, isNewest }) => [
        ...[manifest.id, timeline.number, isNewest],
      ]);
    await base(IDS.first, { index: 1 });
    await base(IDS.second, { index: 20 });
    await segments([1, 1, 29]);
    // At 11:30 somebody went back to segment 5: what the second base holds was given up.
    await segments([2, 5, 8], { hour: 12 });
    await history(2, ['1/5'], '2026-11-29T11:30:00Z');
    t.strictSame(await ways('10:04:00'), [[IDS.first, 1, false]]);
    t.strictSame(await ways('11:20:00'), [
      [IDS.second, 1, false],
      [IDS.first, 1, false],
    ]);
    t.strictSame(await ways('11:45:00'), [[IDS.first, 2, true]]);
    await base(IDS.third, { index: 8, timeline: 2 });
    t.strictSame(await ways('12:30:00'), [
      [IDS.third, 2, true],
      [IDS.first, 2, true],
    ]);
    const latest = { target: { kind: 'latest' }, identityFile: '' } as const;
    const newest = await basesFor(context, JOB, store, latest);
    t.strictSame(
      newest.map(({ backup: { manifest } }) => manifest.id),
      [IDS.third, IDS.first],
      'never the one that leads elsewhere',
    );
    // Then to a moment of the first timeline again: the second one was in vain.
    await history(3, ['1/6'], '2026-11-29T12:05:00Z');
    await segments([3, 6, 6], { hour: 12 });
    t.strictSame(await ways('12:50:00'), [[IDS.first, 3, true]]);
    t.strictSame((await ways('12:03:00')).at(0), [IDS.third, 2, false]);
    await t.rejects(at('09:00:00'), {
      code: 'restore/outside-window',
      why: 'what can be reached is 2026-11-29T10:00:30.000Z to 2026-11-29T13:00:00.000Z',
    });
  },
);

t.test('a mark that cannot be read is told, and the base is used all the same', async (t) => {
  const { base, segments, damage, events, at } = baseLab(t);
  await base(IDS.first, { index: 1 });
  await segments([1, 1, 3]);
  t.equal((await at('10:30:00')).length, 1);
  t.strictSame(events, []);
  for (const content of ['', 'no mark at all', '{}']) {
    await damage(IDS.first, 'verified.json', content);
    t.equal((await at('10:30:00')).length, 1, content);
    t.match(events.splice(0), [
      { code: 'backup/mark-damaged', text: `\`holdfast backup verify ${IDS.first}\`` },
    ]);
  }
  const other = { version: 1, id: IDS.first, at: '2026-11-29T10:00:30Z', checks: [] };
  const strange = JSON.stringify({ ...other, manifestSha256: 'f'.repeat(64) });
  await damage(IDS.first, 'verified.json', strange);
  await t.rejects(at('10:30:00'), { code: 'backup/missing' }, 'it was another manifest');
  t.match(events, [{ code: 'backup/bad-manifest' }]);
});

t.test('a moment after another cluster began is not one of the old cluster', async (t) => {
  const { context, store, base, segments, at } = baseLab(t);
  const ids = (found: readonly RollForward[]) => found.map(({ backup }) => backup.manifest.id);
  await base(IDS.first, { index: 1 });
  await segments([1, 1, 9]);
  await base(IDS.second, { index: 1, cluster: '8' });
  await segments([1, 1, 9], { hour: 11, cluster: '8' });
  t.strictSame(ids(await at('10:30:00')), [IDS.first]);
  await t.rejects(at('11:00:10'), {
    code: 'restore/outside-window',
    why: 'what can be reached is 2026-11-29T10:00:30.000Z to 2026-11-29T11:00:00.000Z, 2026-11-29T11:00:30.000Z to 2026-11-29T13:00:00.000Z',
  });
  t.strictSame(ids(await at('11:30:00')), [IDS.second]);
  const latest = { target: { kind: 'latest' }, identityFile: '' } as const;
  t.strictSame(ids(await basesFor(context, JOB, store, latest)), [IDS.second]);
  // Somebody went back to it.
  await base(IDS.third, { index: 8 });
  t.strictSame(ids(await at('12:30:00')), [IDS.third, IDS.first]);
  for (const time of ['11:05:00', '11:30:00'])
    t.strictSame(ids(await at(time)), [IDS.second], time);
});

t.test('an upgrade that was reverted: what was live since is that of before', async (t) => {
  const { context, store, base, segments, at } = baseLab(t);
  const ids = (found: readonly RollForward[]) => found.map(({ backup }) => backup.manifest.id);
  const latest = async () =>
    ids(await basesFor(context, JOB, store, { target: { kind: 'latest' }, identityFile: '' }));
  await base(IDS.first, { index: 1 });
  await segments([1, 1, 9]);
  await base(IDS.second, { index: 1, cluster: '8' });
  await segments([1, 1, 9], { hour: 11, cluster: '8' });
  t.strictSame(await latest(), [IDS.second]);
  // No base of the old cluster was made yet since the revert.
  await segments([1, 10, 19], { hour: 12 });
  t.strictSame(await latest(), [IDS.first]);
  for (const time of ['12:15:00', '12:59:00', '10:30:00'])
    t.strictSame(ids(await at(time)), [IDS.first], time);
  for (const time of ['11:05:00', '12:03:00'])
    t.strictSame(ids(await at(time)), [IDS.second], time);
  await t.rejects(at('11:00:10'), {
    code: 'restore/outside-window',
    why: 'what can be reached is 2026-11-29T10:00:30.000Z to 2026-11-29T11:00:00.000Z, 2026-11-29T11:00:30.000Z to 2026-11-29T13:00:00.000Z',
  });
  // Its WAL breaks off before: then the upgrade holds more.
  const name = segmentName({ timeline: 1, index: 5 }, SEGMENT);
  for await (const { key } of store.list(`acme/shop/_wal/7/${name}`)) await store.delete([key]);
  t.strictSame(await latest(), [IDS.second]);
});

t.test(
  'in a copy of a bucket, whose times are of the copying, the newest base is of the live cluster',
  async (t) => {
    const { root, context, store, base, segments } = baseLab(t);
    await base(IDS.first, { index: 1 });
    await base(IDS.second, { index: 1, cluster: '8' });
    await segments([1, 1, 9], { hour: 12, cluster: '8' });
    // Copied later.
    await segments([1, 1, 19], { hour: 12 });
    const copied = new Date('2026-11-29T12:00:00Z');
    for (const id of [IDS.first, IDS.second])
      utimesSync(join(root, `acme/shop/base/${id}/manifest.json`), copied, copied);
    const latest = { target: { kind: 'latest' }, identityFile: '' } as const;
    const [found] = await basesFor(context, JOB, store, latest);
    t.equal(found?.backup.manifest.id, IDS.second);
  },
);

t.test('what the store has lost of a backup, its whole copy here has', async (t) => {
  const { context, store, root, events, base } = baseLab(t);
  await base(IDS.first, { index: 1 });
  await base(IDS.second, { index: 2 });
  const copies = localCopiesFolder(context.paths);
  cpSync(root, copies, { recursive: true });
  const here = { id: IDS.second, complete: true, verified: true, onServer: true };
  const newest = async () => (await findBackups(context, JOB, store)).backups.at(0);
  rmSync(join(root, `acme/shop/base/${IDS.second}/verified.json`));
  t.match(await newest(), { ...here, inStore: true });
  t.strictSame(events, []);
  rmSync(join(root, `acme/shop/base/${IDS.second}/manifest.json`));
  t.match(await newest(), here, 'no object is left there');
  await store.putSmall(`acme/shop/base/${IDS.second}/cluster.tar.zst`, Buffer.from('x'));
  t.match(await newest(), { ...here, inStore: false });
  t.match(events, [{ kind: 'warning', code: 'backup/damaged', text: /no manifest in local/ }]);
});

t.test('WAL before the oldest base goes, also where marks cannot be read', async (t) => {
  const { context, store, base, bases, segments, damage, held, events } = baseLab(t);
  await base(IDS.first, { index: 3 });
  await base(IDS.second, { index: 6 });
  await segments([1, 1, 7]);
  await damage(IDS.first, 'verified.json');
  t.equal(await pruneWal(context, JOB, store, await bases()), 2);
  t.strictSame(await held(), ['1/3', '1/4', '1/5', '1/6', '1/7']);
  t.strictSame(events, []);
});

t.test('a base with a damaged manifest keeps all WAL that it may need', async (t) => {
  const kept = (text: string) => [{ code: 'backup/wal-kept', text }];

  await t.test('the oldest one', async (t) => {
    const { context, store, base, bases, segments, damage, held, events } = baseLab(t);
    await base(IDS.first, { index: 3 });
    await base(IDS.second, { index: 6 });
    await segments([1, 1, 7]);
    await damage(IDS.first, 'manifest.json', '{');
    t.equal(await pruneWal(context, JOB, store, await bases()), 0);
    t.equal((await held()).length, 7);
    t.match(events, kept(IDS.first));
  });

  await t.test('a later one, which may begin before the oldest after a restore', async (t) => {
    const { context, store, base, bases, segments, damage, held, events } = baseLab(t);
    await base(IDS.first, { index: 8 });
    await base(IDS.second, { index: 6, timeline: 2 });
    await base(IDS.third, { index: 9, timeline: 2 });
    await segments([1, 1, 9]);
    await segments([2, 5, 9], { hour: 11 });
    await damage(IDS.second, 'manifest.json', '{');
    t.equal(await pruneWal(context, JOB, store, await bases()), 7);
    t.strictSame(await held(), ['1/8', '1/9', '2/5', '2/6', '2/7', '2/8', '2/9']);
    t.match(events, kept(IDS.second));
  });

  await t.test('one that may be of another cluster', async (t) => {
    const { context, store, base, bases, segments, damage, held } = baseLab(t);
    await base(IDS.first, { index: 3 });
    await base(IDS.second, { index: 2, cluster: '8' });
    await base(IDS.third, { index: 5, cluster: '8' });
    await segments([1, 1, 5]);
    await segments([1, 1, 5], { cluster: '8' });
    await damage(IDS.second, 'manifest.json', '{');
    t.equal(await pruneWal(context, JOB, store, await bases()), 2);
    t.strictSame(await held(), ['1/3', '1/4', '1/5']);
    t.equal((await held('8')).length, 5, 'it was made before all that are known of this one');
  });
});

/** Leaves what is below this key out of one of its listings, counted from 0. */
class ForgetfulStore extends DirectoryStore {
  readonly #below: string;
  readonly #which: number;
  #listings = 0;

  constructor({ root, below, which }: { root: string; below: string; which: number }) {
    super(root);
    this.#below = below;
    this.#which = which;
  }

  override async *list(prefix: string): AsyncGenerator<StoredFile> {
    const isShort = this.#below.startsWith(prefix) && this.#listings++ === this.#which;
    for await (const file of super.list(prefix)) {
      if (!isShort || !file.key.startsWith(this.#below)) yield file;
    }
  }
}

t.test('a base that a listing leaves out keeps the WAL that it needs', async (t) => {
  const { root, context, store, base, segments, held, events } = baseLab(t);
  const below = `acme/shop/base/${IDS.first}/`;
  await base(IDS.first, { index: 3 });
  await base(IDS.second, { index: 6 });
  await segments([1, 1, 7]);
  await applyRetention(context, JOB, store);
  t.equal((await held()).length, 7, 'nothing goes by the first listing that this server sees');
  const needed = ['1/3', '1/4', '1/5', '1/6', '1/7'];
  for (const which of [0, 1, 2, 3]) {
    await applyRetention(context, JOB, new ForgetfulStore({ root, below, which }));
    t.strictSame((await held()).slice(-5), needed, `listing ${which}`);
  }
  t.match(events, [{ code: 'backup/retention-failed', text: /came back short/ }]);
  await applyRetention(context, JOB, store);
  t.strictSame(await held(), needed, 'what none needs goes');
});

t.test('a base that somebody removes keeps its WAL for a week', async (t) => {
  const { context, store, base, segments, held, events } = baseLab(t);
  await base(IDS.first, { index: 3 });
  await base(IDS.second, { index: 6 });
  await segments([1, 1, 7]);
  await noteStored(context, JOB, IDS.first);
  await applyRetention(context, JOB, store);
  await store.delete([`acme/shop/base/${IDS.first}/manifest.json`]);
  await applyRetention(context, JOB, store);
  await applyRetention(context, JOB, store);
  t.equal((await held()).length, 7);
  t.match(events, [{ code: 'backup/gone', text: 'stays for seven days' }]);
  const later = { ...context, now: () => new Date('2026-12-06T13:00:01Z') };
  await applyRetention(later, JOB, store);
  t.strictSame(await held(), ['1/6', '1/7']);
});

t.test('WAL of the recovery window stays, whatever bases are known', async (t) => {
  const { root, context, store, base, bases, segments, held } = baseLab(t);
  await base(IDS.second, { index: 6 });
  await segments([1, 1, 7]);
  const stored = new Date('2026-11-29T11:00:30Z');
  const [only] = await bases();
  for (const { key } of only?.files.values() ?? []) {
    utimesSync(join(root, key), stored, stored);
  }
  const within = async (windowSeconds: number): Promise<string[]> => {
    const pitr = { job: 'base', windowSeconds } as PitrSettings;
    const settings = { ...context.settings, pitr };
    await pruneWal({ ...context, settings }, JOB, store, await bases());
    return await held();
  };
  t.equal((await within(3600)).length, 7);
  // Segment 3 was stored at 10:03.
  t.strictSame(await within(57 * 60), ['1/4', '1/5', '1/6', '1/7']);
  t.strictSame(await within(1), ['1/6', '1/7']);
});
