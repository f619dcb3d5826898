import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { LocalHost } from '../../installer/host/local.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { Secret } from '../../installer/model/secret.ts';
import type { CertificatePair } from '../../installer/tls/certificate-pair.ts';
import { prepareCertificates } from '../../installer/tls/certificates.ts';
import { checkGivenCertificate } from '../../installer/tls/given-files.ts';
import { withCertificates } from '../../installer/tls/private-ca.ts';

const NOW = new Date('2026-03-01T12:00:00Z');
const NAMES = { certificate: './tls/site.crt', key: './tls/site.key' };
const empty = { authority: undefined, leaves: new Map() };
const ca = await withCertificates(empty, ['a.example.com', 'b.example.com'], {
  now: NOW,
  name: 'demo',
});
const pairOf = (host: string): CertificatePair => {
  const pair = ca.leaves.get(host);
  if (pair === undefined) throw new Error(`no certificate for ${host}`);
  return pair;
};
const good = pairOf('a.example.com');
const authority = ca.authority?.certificate ?? '';

function check(pair: Partial<CertificatePair>, hosts = ['a.example.com'], now = NOW): () => void {
  const needs = hosts.map((host) => ({ host, usedBy: `services.${host.slice(0, 1)}.routes` }));
  return () => checkGivenCertificate({ ...good, ...pair }, needs, now, NAMES);
}

function thrownBy(run: () => void): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

t.test('a good certificate passes, with and without its chain', async (t) => {
  t.doesNotThrow(check({}));
  t.doesNotThrow(check({ certificate: good.certificate + authority }));
});

t.test('whatever is wrong is named with its file', async (t) => {
  const days = (count: number) => new Date(NOW.getTime() + count * 86_400_000);
  const chain = authority + good.certificate;
  const cases: readonly (readonly [string, () => void, Record<string, string | RegExp>])[] = [
    [
      'not PEM',
      check({ certificate: 'hello' }),
      { code: 'config/tls-unreadable', what: /site\.crt/ },
    ],
    [
      'a damaged certificate',
      check({ certificate: good.certificate.replace(/[A-Za-z]{20}/, 'A'.repeat(20)) }),
      { code: /config\/tls-/ },
    ],
    [
      'no key',
      check({ key: new Secret('hello') }),
      { code: 'config/tls-unreadable', what: /site\.key/ },
    ],
    [
      'the key of another',
      check({ key: pairOf('b.example.com').key }),
      { code: 'config/tls-key', what: './tls/site.key is not the key of ./tls/site.crt' },
    ],
    [
      'expired',
      check({}, undefined, days(400)),
      { code: 'config/tls-expired', why: /CN=a\.example\.com ended on 2027-04-02/ },
    ],
    [
      'from the future',
      check({}, undefined, days(-1)),
      { code: 'config/tls-expired', what: /not valid yet/ },
    ],
    [
      'other hosts',
      check({}, ['a.example.com', 'b.example.com', 'c.example.com']),
      {
        code: 'config/tls-hosts',
        what: /not made for b\.example\.com, c\.example\.com/,
        why: 'it lists DNS:a.example.com; services.b.routes names b.example.com, services.c.routes names c.example.com',
      },
    ],
    ['the chain the wrong way round', check({ certificate: chain }), { code: 'config/tls-key' }],
    [
      'a stranger in the chain',
      check({ certificate: good.certificate + pairOf('b.example.com').certificate }),
      { code: 'config/tls-chain', why: 'certificate 1 is not signed by certificate 2' },
    ],
  ];
  for (const [name, run, expected] of cases) t.match(thrownBy(run), expected, name);
});

t.test('no message repeats the key', async (t) => {
  const secret = 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49';
  const pem = `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----\n`;
  const error = thrownBy(check({ key: new Secret(pem) }));
  t.ok(error instanceof Error);
  t.notMatch(`${error} ${JSON.stringify(error)} ${(error as Error).cause}`, secret);
});

t.test('the files stand beside the config; a missing one is named in full', async (t) => {
  const home = t.testdir({ tls: {}, server: {} });
  const paths = pathsUnder(join(home, 'server'));
  const host = new LocalHost();
  const request = {
    // The config may stand on another machine than the server.
    files: { host: new LocalHost(), pathOf: (written: string) => join(home, written) },
    hosts: [{ host: 'a.example.com', usedBy: 'services.web.routes' }],
    tls: { issuer: 'files', files: NAMES },
    project: 'demo',
    now: NOW,
  };
  const folder = join(home, 'tls');
  await t.rejects(prepareCertificates(host, paths, request), {
    code: 'config/tls-missing',
    what: `There is no file ${folder}/site.crt on ${host.name}`,
  });
  await writeFile(join(folder, 'site.crt'), good.certificate);
  await writeFile(join(folder, 'site.key'), good.key.reveal());
  const { pairs } = await prepareCertificates(host, paths, request);
  t.equal(pairs.get('a.example.com')?.certificate, good.certificate);
  await t.rejects(prepareCertificates(host, paths, { ...request, tls: { issuer: 'files' } }), {
    code: 'config/tls-files',
  });
  const later = { ...request, now: new Date('2099-01-01') };
  await t.rejects(prepareCertificates(host, paths, later), { code: 'config/tls-expired' });
  const inForce = await prepareCertificates(host, paths, { ...later, renews: false });
  t.equal(inForce.pairs.size, 1, 'what is in force is no reason to refuse another change');
});

t.test(
  'a name that nobody wrote may be missing in the files, and is signed privately',
  async (t) => {
    const home = t.testdir({
      tls: { 'site.crt': good.certificate, 'site.key': good.key.reveal() },
      server: {},
    });
    const { pairs, notices } = await prepareCertificates(
      new LocalHost(),
      pathsUnder(join(home, 'server')),
      {
        files: { host: new LocalHost(), pathOf: (written: string) => join(home, written) },
        hosts: [
          { host: 'a.example.com', usedBy: 'services.web.routes' },
          { host: 'grafana.example.com', usedBy: 'monitoring.grafana.host', isUnasked: true },
        ],
        tls: { issuer: 'files', files: NAMES },
        project: 'demo',
        now: NOW,
      },
    );
    t.equal(pairs.get('a.example.com')?.certificate, good.certificate);
    const own = new X509Certificate(pairs.get('grafana.example.com')?.certificate ?? '');
    t.match(own.subjectAltName, 'DNS:grafana.example.com');
    t.match(notices, [{ text: /grafana\.example\.com: new; signed by the private authority/ }]);
  },
);
