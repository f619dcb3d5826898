import t from 'tap';
import { CommandError } from '../../installer/host/command-error.ts';
import { hostKeyOf, KnownHosts } from '../../installer/host/known-hosts.ts';
import { quote } from '../../installer/host/quote.ts';
import { remoteLine, remoteOutcome } from '../../installer/host/remote-line.ts';
import { knownHostsName, parseSshTarget } from '../../installer/host/ssh-target.ts';
import { TailBuffer } from '../../installer/host/tail-buffer.ts';
import {
  isTemporary,
  isTemporarySiblingOf,
  leftoverPattern,
  temporarySibling,
} from '../../installer/host/temporary-name.ts';
import { SimulatedKill } from '../support/effects.ts';
import { MemoryHost } from '../support/memory-host.ts';

const ROOT_FILE = { mode: 0o600, uid: 0, gid: 0 };

t.test('words are quoted only where a shell would take them for more', async (t) => {
  t.equal(quote(['ls', '-l', '/a/b_c.d']), 'ls -l /a/b_c.d');
  t.equal(quote(["it's", '', 'a b', '$x', 'ü']), `'it'\\''s' '' 'a b' '$x' 'ü'`);
  t.throws(() => quote(['a\0b']), /NUL/);
});

t.test('a tail keeps the end, and no broken character', async (t) => {
  const tail = new TailBuffer(5);
  for (const piece of ['abc', 'de', 'fgh']) tail.push(Buffer.from(piece));
  t.equal(tail.text(), 'defgh');
  const cut = new TailBuffer(4);
  cut.push(Buffer.from('äöü'));
  t.equal(cut.text(), 'öü');
  cut.push(Buffer.from('x'));
  t.equal(cut.text(), 'üx');
});

t.test('a remote line keeps the time limit, folder and variables on the server', async (t) => {
  t.equal(remoteLine({ argv: ['true'] }, false), 'exec timeout --kill-after=5 600 env true');
  t.equal(
    remoteLine({ argv: ['a', 'b c'], cwd: '/x y', env: { A: '1 2' }, timeoutSeconds: 9 }, true),
    `exec sudo -n -- timeout --kill-after=5 9 env '--chdir=/x y' 'A=1 2' a 'b c'`,
  );
});

t.test('an exit code of the time limit is one only when it is late', async (t) => {
  t.equal(remoteOutcome(124, '', true), 'timeout');
  t.equal(remoteOutcome(124, '', false), 'exit');
  t.equal(remoteOutcome(127, 'env: ‘x’: No such file or directory', false), 'spawn');
  t.equal(remoteOutcome(127, 'sh: 1: x: not found', false), 'exit');
});

t.test('a target is user, address and port', async (t) => {
  t.strictSame(parseSshTarget('a.example.com'), {
    user: 'root',
    address: 'a.example.com',
    port: 22,
  });
  t.strictSame(parseSshTarget('ops@10.0.0.1:2222'), {
    user: 'ops',
    address: '10.0.0.1',
    port: 2222,
  });
  const six = parseSshTarget('ops@[2001:db8::1]:2222');
  t.strictSame(six, { user: 'ops', address: '2001:db8::1', port: 2222 });
  t.equal(knownHostsName(six), '[2001:db8::1]:2222');
  t.equal(knownHostsName(parseSshTarget('a.example.com')), 'a.example.com');
  for (const bad of ['', '-oProxyCommand=x', 'a b', 'root@', 'a:0', 'a:70000', '@a', 'a/b']) {
    t.throws(() => parseSshTarget(bad), { code: 'usage/bad-host' }, bad);
  }
});

t.test('the algorithms of a known key are offered first', async (t) => {
  const type = Buffer.from('ssh-rsa');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(type.length);
  const key = hostKeyOf(Buffer.concat([length, type, Buffer.from('rest')]));
  t.equal(key.type, 'ssh-rsa');
  const known = new KnownHosts(`${t.testdir({})}/sub/known_hosts`);
  t.equal((await known.algorithmsFor('server'))[0], 'ssh-ed25519');
  await known.check('server', key);
  t.match(await known.algorithmsFor('server'), ['rsa-sha2-512', 'rsa-sha2-256', 'ssh-ed25519']);
  t.equal((await known.algorithmsFor('another'))[0], 'ssh-ed25519');
});

t.test('a temporary sibling is told from other files', async (t) => {
  const sibling = temporarySibling('/etc/app/a.conf');
  const name = sibling.slice('/etc/app/'.length);
  t.match(sibling, /^\/etc\/app\/\.a\.conf\.[0-9a-f]{12}\.holdfast-tmp$/);
  t.ok(isTemporary(name));
  t.ok(isTemporarySiblingOf('/etc/app/a.conf', name));
  t.notOk(isTemporarySiblingOf('/etc/app/b.conf', name));
  t.notOk(isTemporary('a.conf'));
  t.equal(leftoverPattern('/x/a*[b]'), '.a\\*\\[b\\].????????????.holdfast-tmp');
});

t.test('an error shows the arguments, the last lines and what helps', async (t) => {
  const argv = ['docker', 'compose', 'up', 'x y'];
  const stderr = Array.from({ length: 40 }, (_, n) => `line ${n}\n`).join('');
  const error = new CommandError({ reason: 'exit', argv, host: 'root@a', exitCode: 3, stderr });
  t.equal(error.what, "`docker compose up 'x y'` on root@a ended with exit code 3");
  t.match(error.why, /^line 25\n(line \d+\n)+line 39$/);
  t.strictSame(error.details, { reason: 'exit', argv, exitCode: 3 });
  const quiet = new CommandError({ reason: 'exit', argv, host: 'h', exitCode: 1, stdout: 'said' });
  t.equal(quiet.why, 'said');
});

t.test(
  'a MemoryHost dies before or after the nth effect and stays dead until revived',
  async (t) => {
    for (const when of ['before', 'after'] as const) {
      const host = new MemoryHost().on(['touch'], () => ({}));
      host.crashAt({ effect: 2, when });
      await host.write('/a', '1', ROOT_FILE);
      await t.rejects(host.write('/b', '2', ROOT_FILE), SimulatedKill);
      t.equal(host.files.text('/b'), when === 'after' ? '2' : undefined);
      await t.rejects(host.read('/a'), SimulatedKill);
      await t.rejects(host.run({ argv: ['touch'] }), SimulatedKill);
      await t.rejects(host.remove('/a'), SimulatedKill);
      host.effects.revive();
      t.equal(Buffer.from((await host.read('/a')) ?? []).toString(), '1');
    }
  },
);

t.test('a MemoryHost records its effects, and looking is none', async (t) => {
  const host = new MemoryHost().on(['df'], () => ({ stdout: '5' }), { looks: true });
  host.on(['touch'], () => ({}));
  await host.run({ argv: ['df'] });
  await host.stat('/');
  await host.makeDirectory('/d', { mode: 0o700, uid: 1, gid: 2 });
  await host.write('/d/f', 'x', ROOT_FILE);
  await host.run({ argv: ['touch', '/x'] });
  await host.remove('/d', { recursive: true });
  t.strictSame(host.effects.transcript, [
    'mkdir /d 700 1:2',
    'write /d/f 600 0:0',
    'run touch /x',
    'remove /d',
  ]);
  host.diskBytes = 10;
  await t.rejects(host.write('/f', 'x'.repeat(11), ROOT_FILE), { code: 'host/disk-full' });
});
