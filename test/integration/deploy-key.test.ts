import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import t from 'tap';
import { readAudit } from '../../installer/apply/audit.ts';
import { parseDeployKey } from '../../installer/cli/authorized-keys.ts';
import { Appliance } from '../support/appliance.ts';
import { startCiClient, writeLauncher } from './support/deploy-key-client.ts';

const CONFIG = `version: 1
domain: app.example.com
contact: ops@example.com
services:
  web: { image: "ghcr.io/acme/web:1", port: 3000 }
`;

t.test('a key of CI deploys, asks how things are, and can do nothing else', async (t) => {
  const server = await Appliance.create('');
  t.teardown(() => server.remove());
  const { paths } = server;
  mkdirSync(dirname(paths.config), { recursive: true });
  writeFileSync(paths.config, CONFIG);
  const { key, sshd, ssh } = await startCiClient(t, server);
  const add = () =>
    server.run([
      ...['deploy-key', 'add', 'ci', `${key}.pub`, '--services', 'api,web'],
      ...['--images', 'ghcr.io/acme/'],
    ]);
  const before = await add();
  t.match(before.stderr, /preflight\/no-program/, 'a key that would run nothing is not added');
  writeLauncher(server);
  const theirs = '# the keys of people\nssh-ed25519 AAAA somebody@laptop';
  mkdirSync(dirname(paths.authorizedKeys), { recursive: true, mode: 0o700 });
  writeFileSync(paths.authorizedKeys, theirs);

  t.match(await ssh(['status']), { exitCode: 255, stderr: /Permission denied/ });
  t.match(await add(), { exitCode: 0, stdout: /ci \(SHA256:\S+\) may deploy api, web/ });
  const text = readFileSync(paths.authorizedKeys, 'utf8');
  t.ok(text.startsWith(`${theirs}\n`), 'what others wrote stays as it is');
  t.equal(statSync(paths.authorizedKeys).mode & 0o777, 0o600);

  await t.test('through sshd', async (t) => {
    const deployed = await ssh(['deploy', 'api', 'ghcr.io/acme/api:1']);
    t.match(deployed, { exitCode: 2, stderr: /usage\/unknown-service/ }, 'the command itself ran');
    t.match((await ssh(['deploy', 'web', 'ghcr.io/acme/web'])).stderr, /usage\/image/);
    t.match((await ssh(['status'])).stderr, /usage\/nothing-applied/);
    const refused = [
      [],
      ['id'],
      ['secrets', 'list', '--show'],
      ['deploy', 'db', 'ghcr.io/acme/db:1'],
      ['deploy', 'web', 'docker.io/evil/web:1'],
      ['deploy', 'web', 'ghcr.io/acme/web:2', '--config', '/etc/shadow'],
      ['deploy web ghcr.io/acme/web:2; id'],
      ['deploy web $(id)'],
    ];
    for (const words of refused) {
      const { exitCode, stdout, stderr } = await ssh(words);
      t.equal(exitCode, 5, words.join(' '));
      t.match(stderr, /consent\/not-allowed/);
      t.notMatch(stdout + stderr, /uid=0|root:/);
    }
    const forwarding = await ssh([], ['-W', '127.0.0.1:1']);
    t.not(forwarding.exitCode, 0, 'no port is forwarded');
    t.match(forwarding.stderr, /administratively prohibited/);
    const sftp = await ssh(['sftp'], ['-s']);
    t.equal(sftp.exitCode, 5, 'a subsystem is the forced command too');
  });

  await t.test('list, again, another, remove', async (t) => {
    t.equal((await add()).exitCode, 0, 'twice is as good as once');
    t.equal(readFileSync(paths.authorizedKeys, 'utf8'), text);
    const other = readFileSync(`${sshd.login().keyFile}.pub`, 'utf8');
    const taken = await server.run(['deploy-key', 'add', 'ci', '--services', 'web'], other);
    t.match(taken.stderr, /usage\/deploy-key-exists/);
    const shared = await server.run([
      'deploy-key',
      'add',
      'two',
      `${key}.pub`,
      '--services',
      'web',
    ]);
    t.match(shared.stderr, /usage\/shared-key/);
    const { keys } = JSON.parse((await server.run(['deploy-key', 'list', '--json'])).stdout);
    t.match(keys, [{ name: 'ci', services: ['api', 'web'], images: ['ghcr.io/acme/'] }]);
    t.match(await server.run(['deploy-key', 'remove', 'ci']), { exitCode: 0 });
    t.match(await ssh(['status']), { exitCode: 255, stderr: /Permission denied/ });
    t.equal(readFileSync(paths.authorizedKeys, 'utf8'), `${theirs}\n`);
    t.match((await server.run(['deploy-key', 'remove', 'ci'])).stderr, /unknown-deploy-key/);
    const { entries, breaks } = readAudit(readFileSync(paths.audit, 'utf8'));
    t.strictSame(breaks, []);
    t.match(
      entries.map(({ command }) => command),
      ['holdfast deploy-key add ci', 'holdfast deploy-key remove ci'],
    );
  });
  t.equal(text.split('\n').filter((line) => parseDeployKey(line) !== undefined).length, 1);
});
