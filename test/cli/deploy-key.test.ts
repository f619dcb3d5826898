import t from 'tap';
import {
  deployKeyLine,
  parseDeployKey,
  readPublicKey,
} from '../../installer/cli/authorized-keys.ts';
import { deployRights, mayDeployImage } from '../../installer/cli/deploy-key-rights.ts';
import { deployWish } from '../../installer/cli/deploy-key-serve.ts';

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPEPnTarmhV1ZKnuPQ3Bi9/k7+Fs0aJaGZFsAbmZ/P3B';
const RIGHTS = deployRights('ci', 'api,web', 'ghcr.io/acme/');

t.test('the three requests are read, and nothing beside them', async (t) => {
  const image = `ghcr.io/acme/api:1.2@sha256:${'a'.repeat(64)}`;
  t.strictSame(deployWish(`deploy api ${image}`, RIGHTS), {
    verb: 'deploy',
    service: 'api',
    image,
  });
  t.strictSame(deployWish('rollback web', RIGHTS), { verb: 'rollback', service: 'web' });
  t.strictSame(deployWish('status', RIGHTS), { verb: 'status' });
  const refused = [
    '',
    'sh',
    'deploy',
    'deploy api',
    'deploy db ghcr.io/acme/db:1',
    'deploy api docker.io/evil/api:1',
    'deploy api ghcr.io/acme/api:1 --config=/etc/shadow',
    'deploy api ghcr.io/acme/api:1 --yes',
    'deploy api --config',
    '--host deploy api ghcr.io/acme/api:1',
    'deploy api ghcr.io/acme/api:1; id',
    'deploy api $(id)',
    'deploy api ghcr.io/acme/api:1\nsecrets list',
    'deploy  api ghcr.io/acme/api:1',
    'deploy api ghcr.io/acme/api:1 more',
    'rollback db',
    'rollback web ghcr.io/acme/web:1',
    'status --json',
    'status web',
    'secrets list',
    'deploy-key serve ci',
    `deploy api ghcr.io/acme/${'a'.repeat(600)}:1`,
  ];
  for (const command of refused) {
    t.throws(() => deployWish(command, RIGHTS), { code: 'consent/not-allowed' }, command);
  }
});

t.test('a beginning of a repository ends at a slash, a repository is itself', async (t) => {
  const allows = (images: string, image: string) =>
    mayDeployImage(deployRights('ci', 'api', images), image);
  t.ok(allows('ghcr.io/acme/', 'ghcr.io/acme/deep/api:1'));
  t.ok(allows('ghcr.io/acme/api', 'ghcr.io/acme/api@sha256:aa'));
  t.ok(allows('127.0.0.1:5000/api', '127.0.0.1:5000/api:1'));
  t.notOk(allows('ghcr.io/acme/api', 'ghcr.io/acme/api-evil:1'));
  t.notOk(allows('ghcr.io/acme/', 'ghcr.io/acmevil/api:1'));
  t.notOk(allows('ghcr.io/acme/api', 'ghcr.io/acme/api/other:1'));
});

t.test('a line is read back as it was written, and others are nobody’s', async (t) => {
  for (const images of [undefined, 'ghcr.io/acme/,127.0.0.1:5000/api']) {
    const key = {
      rights: deployRights('ci', 'api,web', images),
      key: readPublicKey(`${KEY} me\n`),
    };
    const line = deployKeyLine('/usr/local/bin/holdfast', key);
    t.strictSame(parseDeployKey(line), key);
    t.equal(parseDeployKey(`from="192.0.2.1",${line}`), undefined);
  }
  t.equal(parseDeployKey(`${KEY} me@laptop`), undefined);
});

t.test('what would change the line is refused', async (t) => {
  const wrong = [
    ['ci"', 'api', undefined],
    ['ci', undefined, undefined],
    ['ci', '', undefined],
    ['ci', 'api,', undefined],
    ['ci', 'api; id', undefined],
    ['ci', '--config', undefined],
    ['ci', 'api', 'ghcr.io/$(id)/'],
    ['ci', 'api', 'a",command="id'],
  ] as const;
  for (const [name, services, images] of wrong) {
    t.throws(() => deployRights(name, services, images), { code: 'usage/deploy-key' });
  }
});

t.test('only a public key is taken, and a private one is never repeated', async (t) => {
  const secret =
    '-----BEGIN OPENSSH PRIVATE KEY-----\nhunter22\n-----END OPENSSH PRIVATE KEY-----\n';
  const wrong = [
    secret,
    '',
    `${KEY}\n${KEY}\n`,
    `command="id" ${KEY}`,
    KEY.replace('ssh-ed25519', 'ssh-rsa'),
    KEY.replace('ssh-ed25519', 'ssh-dss'),
    `${KEY}=`,
    'ssh-ed25519 AAAA',
  ];
  for (const text of wrong) {
    t.throws(() => readPublicKey(text), { code: 'usage/public-key' }, text.slice(0, 20));
  }
  try {
    readPublicKey(secret);
  } catch (error) {
    t.notMatch(JSON.stringify(error) + String(error), /hunter22/);
  }
});
