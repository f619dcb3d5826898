import { setTimeout as wait } from 'node:timers/promises';
import { restoreTestIdentityFile } from '../installer/backup/recovery-keys.ts';
import { restoreCluster } from '../installer/backup/restore/restore-cluster.ts';
import { runBackup } from '../installer/backup/run-backup.ts';
import { platformImages } from '../test/integration/support/platform-images.ts';
import { PitrStack } from '../test/support/pitr-stack.ts';
import { benchBaseLoad } from './base-load.ts';
import type { Figure } from './figure.ts';

/** How often Postgres is killed and the server lost; a round takes about a minute. */
const ROUNDS = Number(process.env['HOLDFAST_BENCH_ROUNDS'] ?? '3');
/** As with the default RPO of a minute: the open segment goes to the store every sixth of it. */
const PASS_SECONDS = 10;
/** Clients that write; each waits for its row to be acknowledged. */
const WRITERS = 4;
/** A loss comes at any moment of a pass. */
const LEAST_LOAD_SECONDS = 15;

/** Acknowledged rows: their ids, and when the answer was there. */
type Acknowledged = ReadonlyMap<number, number>;

interface Loss {
  readonly acknowledged: number;
  readonly rows: number;
  readonly seconds: number;
}

/** What recovery costs: data when something dies, and the product's speed while a base backup is made. */
export async function benchPitr(): Promise<Figure[]> {
  const { postgres = '' } = await platformImages('postgres');
  return [...(await benchLosses(postgres)), ...(await benchBaseLoad(postgres))];
}

/** What a dead Postgres and a lost server cost while it is written to, with a folder as the store. */
async function benchLosses(postgres: string): Promise<Figure[]> {
  const pitr = await PitrStack.start(postgres, PASS_SECONDS);
  try {
    await pitr.stack.sql('postgres', 'CREATE DATABASE shop;');
    await pitr.stack.sql('shop', 'CREATE TABLE writes (id bigserial PRIMARY KEY);');
    const crashes: Loss[] = [];
    const disasters: Loss[] = [];
    const restores: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      await beginRound(pitr, round > 0);
      crashes.push(await lossOf(pitr, () => killPostgres(pitr)));
      disasters.push(
        await lossOf(pitr, async () => {
          await pitr.loseEverything();
          return async () => {
            restores.push(await restoreNewest(pitr));
          };
        }),
      );
    }
    return [
      ...figures(`kill -9 of Postgres, ${ROUNDS} times`, crashes),
      ...figures(`server lost, ${ROUNDS} times`, disasters, '≤ 15 s'),
      { what: 'restored and checked, the slowest', value: `${Math.max(...restores).toFixed(1)} s` },
    ];
  } finally {
    await pitr.stop();
  }
}

/** A chain of WAL with a base backup. */
async function beginRound(pitr: PitrStack, isAnew: boolean): Promise<void> {
  if (isAnew) await pitr.startReceiver();
  pitr.startShipper();
  await pitr.until('the slot is there', ({ checkedAt }) => checkedAt !== '');
  await runBackup(pitr.stack.context(pitr.over()), 'base');
  await pitr.shipped();
}

/** Writes, ends it by a blow, mends it, and looks which rows are missing. */
async function lossOf(pitr: PitrStack, blow: () => Promise<() => Promise<void>>): Promise<Loss> {
  const times = new Map<number, number>();
  const writers = Array.from({ length: WRITERS }, () => write(pitr, times));
  await wait((LEAST_LOAD_SECONDS + Math.random() * PASS_SECONDS) * 1000);
  const mend = await blow();
  await Promise.all(writers);
  await mend();
  return await missing(pitr, times);
}

/** Until Postgres answers no more: from then on nothing is acknowledged. */
async function write(pitr: PitrStack, times: Map<number, number>): Promise<void> {
  for (;;) {
    try {
      const insert = 'INSERT INTO writes DEFAULT VALUES RETURNING id';
      times.set(Number(await pitr.stack.sql('shop', insert)), Date.now());
    } catch {
      return;
    }
  }
}

async function killPostgres(pitr: PitrStack): Promise<() => Promise<void>> {
  const { stack } = pitr;
  await stack.docker(['kill', '--signal', 'KILL', stack.container]);
  return async () => {
    await stack.docker(['start', stack.container]);
    await stack.ready();
    // It may have ended over a Postgres that did not answer: the agent would start it again.
    await pitr.killShipper();
    pitr.startShipper();
  };
}

/** @returns seconds until it was restored and checked */
async function restoreNewest(pitr: PitrStack): Promise<number> {
  const { seconds } = await restoreCluster(pitr.stack.context(pitr.over()), {
    target: { kind: 'latest' },
    identityFile: restoreTestIdentityFile(pitr.stack.paths),
    consent: async () => undefined,
    swap: pitr.swap,
  });
  return seconds;
}

async function missing({ stack }: PitrStack, times: Acknowledged): Promise<Loss> {
  const text = await stack.sql('shop', "SELECT string_agg(id::text, ',') FROM writes");
  const found = new Set(text.split(',').map(Number));
  const lost = [...times].filter(([id]) => !found.has(id)).map(([, at]) => at);
  const last = Math.max(...times.values());
  const seconds = lost.length === 0 ? 0 : (last - Math.min(...lost)) / 1000;
  return { acknowledged: times.size, rows: lost.length, seconds };
}

function figures(what: string, losses: readonly Loss[], goal?: string): Figure[] {
  const seconds = losses.map((loss) => loss.seconds).sort((a, b) => a - b);
  const at = (share: number): string =>
    `${(seconds[Math.ceil(share * seconds.length) - 1] ?? 0).toFixed(1)} s`;
  const sum = (key: 'rows' | 'acknowledged'): number =>
    losses.reduce((total, loss) => total + loss[key], 0);
  return [
    { what: `${what}: acknowledged rows lost`, value: `${sum('rows')} of ${sum('acknowledged')}` },
    { what: `${what}: seconds lost, p50`, value: at(0.5) },
    { what: `${what}: p99`, value: at(0.99), ...(goal === undefined ? {} : { goal }) },
    { what: `${what}: max`, value: at(1) },
  ];
}
