import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { receiverCommand } from '../../installer/components/postgres/wal-receiver.ts';
import { lookUntil } from '../support/look-until.ts';

const segment = (index: number) =>
  `0000000100000000${index.toString(16).toUpperCase().padStart(8, '0')}`;

t.test('the oldest segments give way where nobody takes them to the store', async (t) => {
  const folder = t.testdir({ wal: {}, bin: {} });
  const program = (name: string, text: string): void => {
    writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, 'bin', name), 0o755);
  };
  program('pg_receivewal', 'exec /bin/sleep 600');
  program('sleep', 'exec /bin/sleep 0.1');
  const wal = join(folder, 'wal');
  for (let index = 1; index <= 140; index += 1) writeFileSync(join(wal, segment(index)), '');
  writeFileSync(join(wal, '00000002.history'), '');
  const open = `${segment(141)}.partial`;
  writeFileSync(join(wal, open), Buffer.alloc(16 * 1024 ** 2));
  const [command = '', ...argv] = receiverCommand(wal);
  const receiver = spawn(command, argv, {
    env: { ...process.env, PATH: `${join(folder, 'bin')}:/usr/bin:/bin` },
    stdio: 'ignore',
  });
  const ended = once(receiver, 'exit');
  try {
    const left = await lookUntil(
      30_000,
      async () => {
        const names = readdirSync(wal).sort();
        return names.length <= 130 ? names : undefined;
      },
      () => `${readdirSync(wal).length} files`,
    );
    const expected = Array.from({ length: 128 }, (_, index) => segment(index + 13));
    t.strictSame(left, [...expected, open, '00000002.history'].sort());
  } finally {
    receiver.kill('SIGTERM');
  }
  // A container that takes longer to stop is killed.
  const [, signal] = await ended;
  t.equal(signal, null, 'it ends by itself');
});
