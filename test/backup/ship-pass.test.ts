import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { BackupContext } from '../../installer/backup/context.ts';
import { DirectoryStore } from '../../installer/backup/store/directory-store.ts';
import { beginChain } from '../../installer/backup/wal/begin-chain.ts';
import { hasMoved, type Shipping, shipPass } from '../../installer/backup/wal/ship-pass.ts';
import { readWalStatus, saveWalStatus } from '../../installer/backup/wal/wal-status.ts';
import { DockerEngine } from '../../installer/engine/docker.ts';
import { AppError } from '../../installer/errors.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type { BackupSettings } from '../../installer/model/backup-settings.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import type { WalStatus } from '../../installer/model/wal-status.ts';

const MIB = 1024 ** 2;

/** A folder as a receiver leaves it, a store, and a status that knows nothing yet. */
function lab(t: Test, segmentBytes: number) {
  const root = t.testdir({ wal: {}, store: {} });
  const folder = join(root, 'wal');
  const engine = new DockerEngine();
  t.teardown(() => engine.close());
  const pitr = {
    job: 'base',
    store: 'local',
    rpoSeconds: 60,
    windowSeconds: 60,
    slot: 's',
    folder,
  };
  const settings = { prefix: 'acme', project: 'shop', readBack: true, pitr } as BackupSettings;
  const context = {
    ...{ host: new LocalHost(), engine, paths: pathsUnder(root), settings },
    ...{ report: () => undefined, now: () => new Date(), openStore: async () => store },
  };
  const store = new DirectoryStore(join(root, 'store'));
  mkdirSync(join(context.paths.agent, 'results'), { recursive: true });
  const shipping: Shipping = {
    ...{ context, pitr, store, segmentBytes },
    ...{ systemIdentifier: '7', recipientsFile: undefined },
  };
  const status: WalStatus = {
    ...{ version: 1, systemIdentifier: '7', timeline: 1, segmentBytes, checkedAt: '' },
    ...{ waitingBytes: 0, gaps: [] },
  };
  let written = 0;
  return {
    shipping,
    status,
    receive: (name: string, bytes: number) => {
      writeFileSync(join(folder, name), Buffer.alloc(bytes));
      written += 1;
      utimesSync(join(folder, name), written, written);
    },
    write: (name: string, at: number) => utimesSync(join(folder, name), at / 1_000, at / 1_000),
    left: () => readdirSync(folder).sort(),
    stored: () =>
      readdirSync(join(root, 'store'), { recursive: true })
        .map(String)
        .flatMap((name) => /\/(0000[^/]+?)(?:-[0-9a-f]{64})?\.zst$/.exec(name)?.[1] ?? [])
        .sort(),
  };
}

const segment = (index: number) =>
  `0000000100000000${index.toString(16).toUpperCase().padStart(8, '0')}`;

t.test('the beginning of a segment is stored once the file has its size', async (t) => {
  const { shipping, status, receive, stored } = lab(t, MIB);
  receive(`${segment(1)}.partial`, 0);
  const empty = await shipPass(shipping, status);
  receive(`${segment(1)}.partial`, MIB / 2);
  const half = await shipPass(shipping, empty);
  t.strictSame(stored(), [], 'a restore could not read it');
  receive(`${segment(1)}.partial`, MIB);
  await shipPass(shipping, half);
  t.strictSame(stored(), [`${segment(1)}.partial`]);
});

t.test(
  'what waits for a store that is away is bounded; the oldest give way, and it is told',
  async (t) => {
    // Four of these are more than may wait.
    const { shipping, status, receive, left, stored } = lab(t, 512 * MIB);
    receive(segment(1), 100);
    const first = await shipPass(shipping, status);
    for (let index = 2; index <= 9; index += 1) receive(segment(index), 100);
    const done = await shipPass(shipping, first);
    t.strictSame(stored(), [1, 6, 7, 8, 9].map(segment));
    t.match(done, {
      gaps: [{ why: new RegExp(`after ${segment(1)} is missing`) }],
      baseNeededSince: String,
    });
    t.strictSame(left(), [segment(9)], 'the receiver goes on after the newest');
  },
);

t.test('a clock that was ahead for a while keeps nothing from the store', async (t) => {
  const { shipping, status, receive, stored, left, write } = lab(t, MIB);
  receive(segment(1), MIB);
  write(segment(1), Date.now() + 3 * 3_600_000);
  const first = await shipPass(shipping, status);
  t.equal(await hasMoved(shipping.pitr.folder, first), false);
  receive(segment(2), MIB);
  receive(`${segment(3)}.partial`, MIB);
  t.equal(await hasMoved(shipping.pitr.folder, first), true);
  await shipPass(shipping, first);
  t.strictSame(stored(), [segment(1), segment(2), `${segment(3)}.partial`]);
  t.strictSame(left(), [segment(2), `${segment(3)}.partial`]);
});

t.test('what waits of an old chain is stored before a new one begins', async (t) => {
  const { shipping, status, receive, stored, left } = lab(t, MIB);
  const { context } = shipping;
  const source = {
    ...{ systemIdentifier: '7', timeline: 2, startedAt: '2026-11-30T16:00:00Z' },
    ...{ segmentBytes: MIB, slot: { active: true, walStatus: 'reserved' } },
  };
  const engine = {
    containers: async () => [{ name: 'db', status: 'running' }],
    exec: async () => ({ exitCode: 0, stdout: JSON.stringify(source), stderr: '' }),
  };
  const postgres = { container: 'db', image: 'a', superuser: 'postgres' };
  const settings = { ...context.settings, postgres };
  await saveWalStatus(context.host, context.paths, status);
  receive(segment(1), MIB);
  receive(segment(2), MIB);
  await beginChain({ ...context, settings, engine } as unknown as BackupContext);
  t.strictSame(stored(), [segment(1), segment(2)]);
  t.strictSame(left(), [], 'of the old timeline');
  t.match(await readWalStatus(context.host, context.paths), { timeline: 2 });
});

t.test('a store that is away keeps the new chain from beginning', async (t) => {
  const { shipping, status, receive, left } = lab(t, MIB);
  const { context, store } = shipping;
  Object.assign(store, {
    putSmall: () =>
      Promise.reject(new AppError({ code: 'store/unreachable', what: 'it is away', hint: 'none' })),
  });
  await saveWalStatus(context.host, context.paths, status);
  receive(segment(1), MIB);
  await t.rejects(beginChain(context), {
    code: 'backup/wal-waits',
  });
  t.strictSame(left(), [segment(1)]);
});
