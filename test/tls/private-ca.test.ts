import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { LocalHost } from '../../installer/host/local.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { Secret } from '../../installer/model/secret.ts';
import { prepareCertificates } from '../../installer/tls/certificates.ts';
import {
  certificatesNeeded,
  type PrivateCa,
  withCertificates,
} from '../../installer/tls/private-ca.ts';
import { readPrivateCa, storePrivateCa } from '../../installer/tls/private-ca-store.ts';

const run = promisify(execFile);
const EMPTY: PrivateCa = { authority: undefined, leaves: new Map() };
const NOW = new Date('2026-03-01T12:00:00Z');
const options = { now: NOW, name: 'demo' };
const daysLater = (days: number) => new Date(NOW.getTime() + days * 86_400_000);

/** Stops as a killed process does, before the write after the given number of them. */
class DyingHost extends LocalHost {
  writesLeft: number;

  constructor(writesLeft: number) {
    super();
    this.writesLeft = writesLeft;
  }

  override async write(...file: Parameters<LocalHost['write']>): Promise<void> {
    if (this.writesLeft === 0) throw new Error('killed');
    this.writesLeft -= 1;
    await super.write(...file);
  }
}

function leafOf(ca: PrivateCa, host: string): X509Certificate {
  return new X509Certificate(ca.leaves.get(host)?.certificate ?? '');
}

t.test('openssl accepts each certificate under its name, and under no other', async (t) => {
  const folder = t.testdir({});
  const ca = await withCertificates(EMPTY, ['localhost', 'app.example.com'], options);
  await writeFile(join(folder, 'ca.crt'), ca.authority?.certificate ?? '');
  const verify = async (host: string, name: string[]) => {
    await writeFile(join(folder, 'leaf.crt'), ca.leaves.get(host)?.certificate ?? '');
    const at = String(NOW.getTime() / 1000);
    const time = ['-attime', at, '-x509_strict', '-purpose', 'sslserver'];
    const files = ['-CAfile', join(folder, 'ca.crt'), join(folder, 'leaf.crt')];
    return run('openssl', ['verify', ...time, ...name, ...files]);
  };
  await verify('app.example.com', ['-verify_hostname', 'app.example.com']);
  await verify('localhost', ['-verify_hostname', 'localhost']);
  await verify('localhost', ['-verify_ip', '127.0.0.1']);
  await verify('localhost', ['-verify_ip', '::1']);
  await t.rejects(verify('localhost', ['-verify_hostname', 'app.example.com']));
  await t.rejects(verify('app.example.com', ['-verify_ip', '127.0.0.1']));
});

t.test('a second run changes no byte, and a new host leaves the others alone', async (t) => {
  const first = await withCertificates(EMPTY, ['a.example.com'], options);
  const second = await withCertificates(first, ['a.example.com', 'b.example.com'], options);
  t.equal(second.authority?.certificate, first.authority?.certificate);
  t.equal(second.leaves.get('a.example.com'), first.leaves.get('a.example.com'));
  t.same(certificatesNeeded(second, ['a.example.com', 'b.example.com'], NOW), []);
});

t.test('a certificate is renewed when a third of its 397 days is left', async (t) => {
  const ca = await withCertificates(EMPTY, ['a.example.com'], options);
  const reasonAt = (now: Date) => certificatesNeeded(ca, ['a.example.com'], now)[0]?.reason;
  t.equal(reasonAt(daysLater(264)), undefined);
  t.equal(reasonAt(daysLater(265)), 'renewal');
  t.equal(reasonAt(daysLater(-1)), 'renewal', 'made by a clock that ran ahead');
  const renewed = await withCertificates(ca, ['a.example.com'], {
    ...options,
    now: daysLater(265),
  });
  t.equal(renewed.authority?.certificate, ca.authority?.certificate);
  t.not(leafOf(renewed, 'a.example.com').serialNumber, leafOf(ca, 'a.example.com').serialNumber);
});

t.test('no certificate outlives the authority, and a dead authority is not replaced', async (t) => {
  const ca = await withCertificates(EMPTY, ['a.example.com'], options);
  const end = new X509Certificate(ca.authority?.certificate ?? '').validToDate;
  const late = await withCertificates(ca, ['a.example.com'], { ...options, now: daysLater(3600) });
  t.same(leafOf(late, 'a.example.com').validToDate, end);
  await t.rejects(withCertificates(ca, ['b.example.com'], { ...options, now: daysLater(3651) }), {
    code: 'host/private-ca',
  });
});

t.test('damage to a certificate is mended, damage to the authority is reported', async (t) => {
  const host = 'a.example.com';
  const ca = await withCertificates(EMPTY, [host], options);
  const other = await withCertificates(EMPTY, [host], options);
  const pair = ca.leaves.get(host);
  const otherPair = other.leaves.get(host);
  if (!pair || !otherPair || !ca.authority || !other.authority) throw new Error('nothing issued');
  const reason = (leaves: PrivateCa['leaves']) =>
    certificatesNeeded({ ...ca, leaves }, [host], NOW)[0]?.reason;
  t.equal(reason(new Map([[host, { ...pair, key: otherPair.key }]])), 'unreadable');
  t.equal(reason(new Map([[host, { ...pair, certificate: 'rubbish' }]])), 'unreadable');
  t.equal(reason(new Map([[host, otherPair]])), 'other-authority');
  t.equal(certificatesNeeded(ca, ['b.example.com'], NOW)[0]?.reason, 'missing');

  for (const key of [other.authority.key, new Secret(''), new Secret('rubbish')]) {
    const broken = { ...ca, authority: { ...ca.authority, key } };
    await t.rejects(withCertificates(broken, [host], options), { code: 'host/private-ca' });
  }
});

t.test('killed after any write, the next run goes on with the same key', async (t) => {
  const whole = await withCertificates(EMPTY, ['a.example.com', 'b.example.com'], options);
  for (let writes = 0; writes <= 6; writes += 1) {
    const paths = pathsUnder(t.testdir({}));
    const host = new LocalHost();
    const dying = new DyingHost(writes);
    const stored = storePrivateCa(dying, paths, EMPTY, whole);
    if (writes < 6) await t.rejects(stored, { message: 'killed' });
    else await stored;

    const before = await readPrivateCa(host, paths);
    const after = await withCertificates(before, ['a.example.com', 'b.example.com'], options);
    await storePrivateCa(host, paths, before, after);
    const final = await readPrivateCa(host, paths);
    if (writes > 0) t.equal(final.authority?.key.reveal(), whole.authority?.key.reveal());
    t.same(
      certificatesNeeded(final, ['a.example.com', 'b.example.com'], NOW),
      [],
      `${writes} writes`,
    );
    t.equal((await host.stat(`${paths.tls}/private-ca/ca.key`))?.mode, 0o600);
    t.equal((await host.stat(`${paths.tls}/private-ca`))?.mode, 0o700);
  }
});

t.test('looking stores nothing, storing makes the next look quiet', async (t) => {
  const paths = pathsUnder(t.testdir({}));
  const host = new LocalHost();
  const request = {
    hosts: [{ host: 'localhost', usedBy: 'services.web.routes' }],
    tls: { issuer: 'selfsigned' },
    files: { host, pathOf: (written: string) => join('/etc/holdfast', written) },
    project: 'demo',
    now: NOW,
  };
  const first = await prepareCertificates(host, paths, request);
  t.same(await host.list(paths.tls), []);
  t.match(first.notices, [{ text: /certificate of localhost: new/ }]);
  await first.store();
  const second = await prepareCertificates(host, paths, request);
  t.same(second.notices, []);
  t.equal(second.pairs.get('localhost')?.certificate, first.pairs.get('localhost')?.certificate);

  const due = { ...request, now: daysLater(300) };
  const kept = await prepareCertificates(host, paths, { ...due, renews: false });
  t.same(kept.notices, [], 'a change of something else renews nothing');
  t.equal(kept.pairs.get('localhost')?.certificate, first.pairs.get('localhost')?.certificate);
  t.match((await prepareCertificates(host, paths, due)).notices, [{ text: /renewed/ }]);
});
