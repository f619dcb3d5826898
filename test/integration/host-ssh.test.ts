import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { posix } from 'node:path';
import t, { type Test } from 'tap';
import { LocalHost } from '../../installer/host/local.ts';
import { SshHost } from '../../installer/host/ssh.ts';
import { isTemporary } from '../../installer/host/temporary-name.ts';
import { contextDigest } from '../../installer/images/context-digest.ts';
import { sendContext } from '../../installer/images/send-context.ts';
import { hostProgramsSuite } from '../contract/host-programs-suite.ts';
import { hostSuite } from '../contract/host-suite.ts';
import { startSshd, type TestSshd } from '../support/sshd.ts';

const ROOT = { uid: 0, gid: 0 };
const OWNER = { uid: 1234, gid: 4321 };

t.test('SshHost as root', async (t) => suites(t, await startSshd(t), 'root'));

t.test('SshHost as a user with sudo', async (t) => suites(t, await startSshd(t), await sudoer(t)));

async function suites(t: Test, sshd: TestSshd, user: string): Promise<void> {
  const host = await SshHost.connect(sshd.login(user));
  t.teardown(() => host.close());
  const start = async (t: Test) => ({ host, folder: t.testdir({}), owner: OWNER });
  hostSuite(t, start);
  hostProgramsSuite(t, start);
}

t.test('a server is remembered at first sight and refused when its key changed', async (t) => {
  const sshd = await startSshd(t);
  await (await SshHost.connect(sshd.login())).close();
  const remembered = await new LocalHost().read(sshd.knownHostsFile);
  t.match(
    Buffer.from(remembered ?? []).toString(),
    new RegExp(`^\\[127\\.0\\.0\\.1\\]:${sshd.port} ssh-ed25519 AAAA`),
  );
  await (await SshHost.connect(sshd.login())).close();
  await sshd.changeHostKey();
  await t.rejects(SshHost.connect(sshd.login()), {
    code: 'host/host-key-changed',
    why: /known is ssh-ed25519 SHA256:\S+, shown is ssh-ed25519 SHA256:/,
    hint: new RegExp(sshd.knownHostsFile),
  });
  const after = await new LocalHost().read(sshd.knownHostsFile);
  t.strictSame(after, remembered, 'the new key is not remembered');
});

t.test('a wrong key, nobody listening, and a user without sudo are told apart', async (t) => {
  const sshd = await startSshd(t);
  const other = await startSshd(t);
  const { keyFile = '' } = other.login();
  await t.rejects(SshHost.connect({ ...sshd.login(), keyFile }), {
    code: 'host/authentication-failed',
  });
  const target = { user: 'root', address: '127.0.0.1', port: 1 };
  await t.rejects(SshHost.connect({ ...sshd.login(), target }), { code: 'host/unreachable' });
  await t.rejects(SshHost.connect(sshd.login(await user(t))), { code: 'host/no-sudo' });
});

t.test('a login shell that prints text of its own is refused', async (t) => {
  const sshd = await startSshd(t);
  const bashrc = posix.join(sshd.home, '.bashrc');
  await new LocalHost().write(bashrc, 'echo Welcome\n', { mode: 0o644, ...ROOT });
  await t.rejects(SshHost.connect(sshd.login()), { code: 'host/noisy-shell', why: /Welcome/ });
});

t.test('a lost connection is said by the call that it hits and by all later ones', async (t) => {
  const sshd = await startSshd(t);
  const host = await SshHost.connect(sshd.login());
  t.teardown(() => host.close());
  const running = host.run({
    argv: ['sh', '-c', 'echo begun; exec sleep 600'],
    onLine: () => sshd.cut(),
  });
  await t.rejects(running, { code: 'host/connection-lost', reason: 'connection' });
  await t.rejects(host.run({ argv: ['true'] }), {
    reason: 'connection',
    code: 'host/connection-lost',
  });
  await t.rejects(host.read('/etc/hostname'), { code: 'host/connection-lost' });
});

t.test('a write that the connection does not outlive leaves the old file', async (t) => {
  const sshd = await startSshd(t);
  const host = await SshHost.connect(sshd.login());
  t.teardown(() => host.close());
  const local = new LocalHost();
  const path = posix.join(t.testdir({}), 'file');
  await local.write(path, 'old', { mode: 0o600, ...ROOT });
  const writing = host.write(path, randomBytes(300_000_000), { mode: 0o600, ...ROOT });
  writing.catch(() => undefined);
  await siblingOf(path, 'appears');
  sshd.cut();
  await t.rejects(writing, { code: 'host/connection-lost' });
  await siblingOf(path, 'goes');
  t.equal(Buffer.from((await local.read(path)) ?? []).toString(), 'old');
});

t.test('a build context arrives as it is, and once', async (t) => {
  const sshd = await startSshd(t);
  const home = t.testdir({
    web: {
      Dockerfile: 'FROM scratch\n',
      '.dockerignore': 'left.out\n',
      'a b': 'x',
      'left.out': '',
    },
  });
  await writeFile(`${home}/web/big`, randomBytes(3_000_000));
  const source = { context: `${home}/web` };
  for (const user of ['root', await sudoer(t)]) {
    const host = await SshHost.connect(sshd.login(user));
    t.teardown(() => host.close());
    const sent = await sendContext(new LocalHost(), host, `${home}/sent-to-${user}`, source);
    t.equal(await contextDigest(host, sent), await contextDigest(new LocalHost(), source));
    t.strictSame(await host.list(sent.context), ['.dockerignore', 'Dockerfile', 'a b', 'big']);
    t.match(await host.stat(`${home}/sent-to-${user}`), { mode: 0o700, uid: 0 });
  }
});

t.test('forty calls at a time share one connection, however few it allows', async (t) => {
  const sshd = await startSshd(t, ['MaxSessions 2']);
  const host = await SshHost.connect(sshd.login());
  t.teardown(() => host.close());
  const results = await Promise.all(
    Array.from({ length: 40 }, (_, n) => host.run({ argv: ['echo', String(n)] })),
  );
  t.strictSame(
    results.map(({ stdout }) => Number(stdout)),
    results.map((_, n) => n),
  );
});

/** Waits until the server has begun to write the file, or is done with it one way or the other. */
async function siblingOf(path: string, what: 'appears' | 'goes'): Promise<void> {
  let names: string[];
  do names = await readdir(posix.dirname(path));
  while (names.some(isTemporary) !== (what === 'appears'));
}

/** A user of this machine for the time of the test. */
async function user(t: Test): Promise<string> {
  const host = new LocalHost();
  const name = `holdfast-t${randomBytes(3).toString('hex')}`;
  await host.run({ argv: ['useradd', '--create-home', '--shell', '/bin/bash', name] });
  await host.run({ argv: ['usermod', '--password', '*', name] });
  t.teardown(() =>
    host.run({ argv: ['userdel', '--force', '--remove', name], okExitCodes: [0, 12] }),
  );
  return name;
}

async function sudoer(t: Test): Promise<string> {
  const host = new LocalHost();
  const name = await user(t);
  const file = `/etc/sudoers.d/${name}`;
  await host.write(file, `${name} ALL=(ALL) NOPASSWD: ALL\n`, { mode: 0o440, ...ROOT });
  t.teardown(() => host.remove(file));
  return name;
}
