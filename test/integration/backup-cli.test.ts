import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { backupPrefix } from '../../installer/backup/keys.ts';
import { parseVerifiedMark } from '../../installer/backup/manifest.ts';
import { readObject } from '../../installer/backup/read-object.ts';
import { restoreTestIdentityFile } from '../../installer/backup/recovery-keys.ts';
import { withBackup } from '../../installer/backup/restore/choose-backup.ts';
import { runBackup } from '../../installer/backup/run-backup.ts';
import { verifyBackup } from '../../installer/backup/verify.ts';
import type { AppError } from '../../installer/errors.ts';
import type { BackupSettings } from '../../installer/model/backup-settings.ts';
import { BackupStack } from '../support/backup-stack.ts';
import { commandsOf } from '../support/runbook.ts';
import { type Output, outcome } from './support/docker.ts';
import { platformImages } from './support/platform-images.ts';

const { postgres = '' } = await platformImages('postgres');
const stack = await BackupStack.start(postgres);
t.teardown(() => stack.stop());
await stack.sql('postgres', 'CREATE DATABASE shop;');
await stack.sql('shop', 'CREATE TABLE orders AS SELECT generate_series(1, 100) AS id;');

const main = new URL('../../installer/cli/main.ts', import.meta.url).pathname;
const holdfast = (...argv: string[]): Promise<Output> =>
  outcome(['env', `HOLDFAST_ROOT=${stack.root}`, process.execPath, main, ...argv]);

async function applied(over: Partial<BackupSettings> = {}): Promise<void> {
  const path = join(stack.paths.stack, 'agent', 'backup.json');
  const owner = { mode: 0o600, uid: 0, gid: 0 };
  await stack.host.write(path, JSON.stringify(stack.settings(over)), owner);
}

t.test('before the first apply there is nothing to back up', async (t) => {
  t.match(await holdfast('backup', 'run'), { code: 12, stderr: /holdfast apply/ });
});

t.test('run, list, verify, restore: what a person sees', async (t) => {
  await applied();
  t.match(await holdfast('backup', 'list'), { code: 0, stdout: /There is no backup yet/ });
  const made = await holdfast('backup', 'run', 'daily');
  t.match(made, {
    code: 0,
    stdout: /^daily: \d{8}T\d{6}Z-[0-9a-f]{6}, .* read back and compared\n$/,
  });
  const [id = ''] = /\d{8}T\d{6}Z-[0-9a-f]{6}/.exec(made.stdout) ?? [];
  t.match(await holdfast('backup', 'list'), {
    code: 0,
    stdout: new RegExp(`^ID .*STATE\\n${id}  daily .* ago .* local  verified\\n$`),
  });
  const listed = await holdfast('backup', 'list', '--json');
  t.match(JSON.parse(listed.stdout), {
    version: 1,
    backups: [{ id, job: 'daily', state: 'verified' }],
  });
  t.match(await holdfast('backup', 'verify'), {
    code: 0,
    stdout: `daily: ${id} is whole (checksums, decrypts, archive-list)\n`,
  });

  const silent = await holdfast('restore');
  t.match(silent, { code: 5, stderr: /holdfast restore --yes/ });
  t.match(await holdfast('restore', id, '--into', 'check'), {
    code: 0,
    stdout: `check: 1 tables and 100 rows restored from ${id} and checked\n`,
  });
  await stack.sql('shop', 'TRUNCATE orders');
  const swapped = await holdfast('restore', '--yes', '--json');
  t.match(JSON.parse(swapped.stdout), {
    version: 1,
    id,
    databases: [{ name: 'shop', kept: /^shop_before_/, rows: 100 }],
  });
  t.equal(await stack.sql('shop', 'SELECT count(*) FROM orders'), '100');
});

t.test('the bad day, by the commands of its page', async (t) => {
  await applied({ recipients: [await recipientOf('recovery-key.txt')] });
  const made = JSON.parse((await holdfast('backup', 'run', '--json')).stdout);
  const [{ id }] = made.made as [{ id: string }];
  /** Runs what stands under a heading; whoever is asked says yes. */
  const follow = async (heading: string): Promise<Output[]> => {
    const key = join(stack.root, 'recovery-key.txt');
    const as = { ID: id, '/root/recovery-key.txt': key };
    const done: Output[] = [];
    for (const argv of commandsOf('restore', heading, as)) {
      const asks = argv[0] === 'restore' && !argv.includes('--into');
      const one = await holdfast(...argv, ...(asks ? ['--yes'] : []));
      t.equal(one.code, 0, `${argv.join(' ')}: ${one.stderr}`);
      done.push(one);
    }
    return done;
  };
  await stack.sql('shop', 'TRUNCATE orders');
  const [listed, , swapped] = await follow('A table was emptied');
  t.match(listed?.stdout, new RegExp(`^${id} .* verified$`, 'm'));
  t.equal(await stack.sql('shop_check', 'SELECT count(*) FROM orders'), '100', 'to look at first');
  const [, drop = ''] = /^ +(docker exec .*dropdb .*)$/m.exec(swapped?.stdout ?? '') ?? [];
  t.match(drop, /shop_before_/);
  t.equal((await outcome(['sh', '-c', drop])).code, 0, 'as the restore printed it');

  await stack.sql('shop', 'TRUNCATE orders');
  const key = await readFile(restoreTestIdentityFile(stack.paths));
  await rm(restoreTestIdentityFile(stack.paths));
  t.equal((await follow('The key on the server is gone')).length, 1);
  t.equal(await stack.sql('shop', 'SELECT count(*) FROM orders'), '100');
  // Later tests go back to the backups of this one.
  await writeFile(restoreTestIdentityFile(stack.paths), key, { mode: 0o600 });
  // What was restored to look at it is saved as all else, until somebody drops it.
  for (const name of ['check', 'shop_check']) {
    await stack.sql('postgres', `DROP DATABASE "${name}"`);
  }
});

/** Makes a key of a person, which lies there for the time of a restore. */
async function recipientOf(name: string): Promise<string> {
  const { stdout } = await stack.host.run({ argv: ['age-keygen'] });
  await writeFile(join(stack.root, name), stdout, { mode: 0o600 });
  return /public key: (\S+)/.exec(stdout)?.[1] ?? '';
}

t.test('each class of failure has its exit code and its next command', async (t) => {
  await applied();
  t.match(await holdfast('backup', 'run', 'nightly'), { code: 2, stderr: /the jobs are: daily/ });
  t.match(await holdfast('restore', '20200101T000000Z-abcdef', '--yes'), {
    code: 12,
    stderr: /holdfast backup list/,
  });
  await applied({
    stores: [
      {
        kind: 's3',
        name: 'local',
        endpoint: 'http://127.0.0.1:9',
        region: 'auto',
        bucket: 'b',
        accessKeyIdSecret: 'KEY_ID',
        secretAccessKeySecret: 'KEY',
      },
    ],
  });
  t.match(await holdfast('backup', 'list'), { code: 3, stderr: /holdfast secrets set KEY_ID/ });
});

t.test('a flipped byte: verify says where, exit code 12', async (t) => {
  await applied();
  const made = await holdfast('backup', 'run', '--json');
  const {
    made: [{ id }],
  } = JSON.parse(made.stdout) as { made: [{ id: string }] };
  const path = join(stack.root, 'store', 'backups', stack.project, 'daily', id, 'db-shop.dump.age');
  const content = await readFile(path);
  content[content.length >> 1] = (content[content.length >> 1] ?? 0) ^ 4;
  await writeFile(path, content);
  t.match(await holdfast('backup', 'verify', id), {
    code: 12,
    stderr: /bytes 0 to \d+ \(part 1 of 1\) differ/,
  });
});

t.test('a damaged manifest: told where it is asked for, and passed over where not', async (t) => {
  await applied();
  const made = await holdfast('backup', 'run', '--json');
  const {
    made: [{ id }],
  } = JSON.parse(made.stdout) as { made: [{ id: string }] };
  const path = join(stack.root, 'store', 'backups', stack.project, 'daily', id, 'manifest.json');
  const content = await readFile(path);
  await writeFile(path, content.subarray(0, content.length >> 1));

  const told = { code: 12, stderr: /manifest[\s\S]*backup\/bad-manifest/ };
  t.match(await holdfast('backup', 'verify', id), told);
  t.match(await holdfast('restore', id, '--into', 'never'), told);
  t.match(await holdfast('backup', 'list'), { code: 0, stdout: new RegExp(`^${id}  daily`, 'm') });
  const restored = await holdfast('restore', '--into', 'passed_over', '--json');
  t.equal(restored.code, 0, restored.stderr);
  t.match(restored.stderr, `${id} is damaged, so the one before it is used`);
  t.not((JSON.parse(restored.stdout) as { id: string }).id, id);
  await stack.sql('postgres', 'DROP DATABASE passed_over');
});

t.test('one flipped bit anywhere in any object is found, and nothing of it is read', async (t) => {
  const context = stack.context();
  const [{ id }, other] = [await runBackup(context, 'daily'), await runBackup(context, 'daily')];
  const place = (of: string, name = '') =>
    join(stack.root, 'store', backupPrefix(context.settings, 'daily', of), name);
  const identityFile = restoreTestIdentityFile(stack.paths);
  /** As a restore reads them. */
  const read = async (): Promise<string> => {
    try {
      await withBackup(context, { id, kind: 'postgres', identityFile }, async (backup) => {
        for (const object of backup.manifest.objects) {
          for await (const chunk of readObject(backup, object)) void chunk;
        }
      });
      return 'read';
    } catch (error) {
      return (error as AppError).code;
    }
  };
  const store = await context.openStore('local');
  const verify = { context, store, job: 'daily', id, identityFile, server: undefined };
  t.equal(await read(), 'read');
  // Read of runs that never ended, and of no other.
  const names = (await readdir(place(id))).filter((name) => name !== 'run.json');
  t.equal(names.length, 5);
  for (const name of names) {
    const content = await readFile(place(id, name));
    const isMark = name === 'verified.json';
    // Of the mark it is the digest that counts.
    const from = isMark ? content.indexOf('manifestSha256') + 17 : 0;
    const to = isMark ? from + 64 : content.length;
    const step = Math.max(1, Math.floor((to - from) / 20));
    for (let at = from; at < to; at += step) {
      const broken = Buffer.from(content);
      // A digest that is none is no mark, which is another matter.
      const digit = content[at] === 0x30 ? 0x31 : 0x30;
      broken[at] = isMark ? digit : (broken[at] ?? 0) ^ (1 << (at % 8));
      await writeFile(place(id, name), broken);
      const found = await read();
      if (!/^backup\/(damaged|bad-manifest)$/.test(found)) t.fail(`${name}, byte ${at}: ${found}`);
      if (name !== 'globals.sql.age' || at > 0) continue;
      // The header names keys: one that differs is no wrong key.
      for (let byte = 1; byte < 250; byte += 5) {
        const other = Buffer.from(content);
        other[byte] = (other[byte] ?? 0) ^ (1 << (byte % 8));
        await writeFile(place(id, name), other);
        const code = await read();
        if (code !== 'backup/damaged') t.fail(`${name}, byte ${byte}: ${code}`);
      }
    }
    if (!isMark) await t.rejects(verifyBackup(verify), { code: /^backup\/(damaged|bad-)/ }, name);
    await writeFile(place(id, name), content);
  }

  await writeFile(place(id, 'verified.json'), 'no mark at all');
  const told = await holdfast('restore', id, '--into', 'without_mark');
  t.match(told, { code: 0, stderr: `holdfast backup verify ${id}` });
  await verifyBackup(verify);
  const mark = parseVerifiedMark(await readFile(place(id, 'verified.json')), id);
  t.equal(mark.id, id, 'marked anew');
  for (const strangers of [['db-shop.dump.age'], ['manifest.json', 'verified.json']]) {
    const own = await Promise.all(strangers.map((name) => readFile(place(id, name))));
    for (const name of strangers) await cp(place(other.id, name), place(id, name));
    t.match(await read(), /^backup\/(damaged|bad-manifest)$/, 'of another backup');
    for (const [index, name] of strangers.entries()) {
      await writeFile(place(id, name), own[index] ?? '');
    }
  }
  t.equal(await read(), 'read');
  await rm(place(id, 'manifest.json'));
  t.equal(await read(), 'backup/missing');
  await rm(place(other.id, 'manifest.json'));
  const restored = await holdfast('restore', '--into', 'without_manifests', '--json');
  t.equal(restored.code, 0, restored.stderr);
  t.ok((JSON.parse(restored.stdout) as { id: string }).id < id, 'one that has its manifest');
});

t.test('a point in time: base, list, dry run, and what is refused', async (t) => {
  const base = stack.job({ name: 'base', method: 'physical', cron: '0 1 * * *' });
  t.match(await holdfast('restore', '--latest', '--dry-run'), {
    code: 12,
    stderr: /postgres: \{ pitr: \{ enabled: true \} \}/,
  });
  await applied({
    jobs: [base],
    pitr: {
      job: 'base',
      store: 'local',
      rpoSeconds: 60,
      windowSeconds: 86_400,
      folder: join(stack.root, 'wal'),
      slot: 'holdfast_wal',
    },
  });
  t.match(await holdfast('restore', '--latest', '--dry-run'), {
    code: 12,
    stderr: /no verified base/,
  });
  const made = await holdfast('backup', 'run', 'base');
  t.match(made, { code: 0, stdout: /^base: .* read back and compared\n$/ });
  const [id = ''] = /\d{8}T\d{6}Z-[0-9a-f]{6}/.exec(made.stdout) ?? [];
  const slot = "SELECT slot_type FROM pg_replication_slots WHERE slot_name = 'holdfast_wal'";
  t.equal(await stack.sql('postgres', slot), 'physical', 'the slot is older than the base');
  t.match(await holdfast('restore', '--latest', '--dry-run'), {
    code: 0,
    stdout: new RegExp(
      `^To reach the end of the WAL: the base ${id} .*\n.*/${id}/cluster\\.tar\\.zst\\.age\n$`,
    ),
  });
  t.match(await holdfast('restore', '--to', '2026-01-01 10:00:00 Europe/Paris', '--dry-run'), {
    code: 14,
    stderr: /2026-01-01T09:00:00\.000Z cannot be reached/,
  });
  for (const [argv, why] of [
    [[id, '--yes'], /is restored by naming a point in time/],
    [['--latest', '--to-lsn', '0/1', '--yes'], /Only one of/],
    [['--latest', '--into', 'x', '--yes'], /with the whole cluster/],
    [['--dry-run'], /--dry-run goes with/],
    [['--to', 'noon', '--yes'], /cannot be restored to/],
  ] as const) {
    t.match(await holdfast('restore', ...argv), { code: 2, stderr: why }, argv.join(' '));
  }
  t.match(await holdfast('restore', '--latest'), { code: 5, stderr: /there is no terminal/ });
});
