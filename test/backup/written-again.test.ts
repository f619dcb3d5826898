import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { BackupContext } from '../../installer/backup/context.ts';
import { shipWal } from '../../installer/backup/wal/ship-wal.ts';
import { walPrefix } from '../../installer/backup/wal/wal-keys.ts';
import { readWalStatus, saveWalStatus } from '../../installer/backup/wal/wal-status.ts';
import { withWrittenAgain } from '../../installer/backup/wal/written-again.ts';
import type { WalStatus } from '../../installer/model/wal-status.ts';
import { baseLab } from '../support/base-lab.ts';

const NAME = '000000010000000000000006';
const [OLD, NEW] = ['e'.repeat(64), '1'.repeat(64)];
const NOW = new Date('2026-11-29T12:10:00Z');

function statusWith(gapAt?: string): WalStatus {
  return {
    ...{ version: 1, systemIdentifier: '7', timeline: 1, segmentBytes: 1, checkedAt: '' },
    ...{ shippedMtimeMs: 0, waitingBytes: 0, shippedThrough: NAME },
    gaps: gapAt === undefined ? [] : [{ noticedAt: gapAt, why: 'x' }],
  };
}

t.test('a segment whose name is in use already asks for a base, once', async (t) => {
  const { context, store, wal, segments } = baseLab(t);
  const { settings } = context;
  const look = (status: WalStatus) => withWrittenAgain(store, settings, status, NOW);
  const none = statusWith();
  await segments([1, 4, 5], { sha256: OLD });
  await wal({ kind: 'segment', name: NAME, sha256: NEW }, '2026-11-29T12:06:00Z');
  await wal({ kind: 'partial', name: '000000010000000000000007' }, '2026-11-29T12:07:00Z');
  t.equal(await look(none), none, 'nothing but its own');
  await wal({ kind: 'segment', name: NAME, sha256: 'a'.repeat(64) }, '2026-11-29T12:05:00Z');
  t.equal(await look(none), none, 'a retry');
  await wal({ kind: 'segment', name: NAME, sha256: OLD }, '2026-11-29T10:06:00Z');
  const again = await look(none);
  t.match(again, {
    baseNeededSince: NOW.toISOString(),
    gaps: [{ after: NAME, why: /^000000010000000000000006 was in the store already/ }],
  });
  t.equal(await look(again), again, 'it is known by now');
  const before = statusWith('2026-11-29T09:00:00Z');
  t.not(await look(before), before, 'the gap is an earlier one');
});

t.test('later segments tell it too, of whichever content', async (t) => {
  const { context, store, segments } = baseLab(t);
  await segments([1, 6, 9]);
  const found = await withWrittenAgain(store, context.settings, statusWith(), NOW);
  t.match(found.gaps, [{ why: /^000000010000000000000007 was/ }]);
});

t.test('a look is one request, for a few names', async (t) => {
  const { context, store } = baseLab(t);
  const asked: string[] = [];
  const counting = Object.assign(Object.create(store) as typeof store, {
    list: (prefix: string) => {
      asked.push(prefix);
      return store.list(prefix);
    },
  });
  await withWrittenAgain(counting, context.settings, statusWith(), NOW);
  t.strictSame(asked, [`${walPrefix(context.settings, '7')}${NAME.slice(0, 23)}`]);
});

t.test('the shipping asks for the base when it has stored such a segment', async (t) => {
  const { context: made, segments } = baseLab(t);
  const folder = t.testdir();
  writeFileSync(join(folder, NAME), Buffer.alloc(1));
  const pitr = { job: 'base', store: 'local', rpoSeconds: 60, windowSeconds: 1, slot: 's', folder };
  const postgres = { container: 'db', image: 'a', superuser: 'postgres' };
  const settings = { ...made.settings, postgres, pitr };
  const engine = { containers: async () => [] };
  const context = { ...made, settings, engine } as unknown as BackupContext;
  mkdirSync(join(made.paths.agent, 'results'), { recursive: true });
  await segments([1, 6, 9], { sha256: OLD });
  const { shippedThrough: _, ...before } = statusWith();
  await saveWalStatus(made.host, made.paths, before);
  const options = { lingerSeconds: 0, longestSeconds: 0, passSeconds: 1, checkSeconds: 60 };
  t.match(await shipWal(context, options), { shippedThrough: NAME, baseNeededSince: String });
  t.match(await readWalStatus(made.host, made.paths), { gaps: [{ after: NAME }] });
});
