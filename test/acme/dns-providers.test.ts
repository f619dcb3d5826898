import { createHash } from 'node:crypto';
import t from 'tap';
import { cloudflare } from '../../installer/acme/dns/cloudflare.ts';
import { openDnsProvider } from '../../installer/acme/dns/open-provider.ts';
import { ovh } from '../../installer/acme/dns/ovh.ts';
import { route53 } from '../../installer/acme/dns/route53.ts';
import { acmeSecrets, acmeSettings } from '../../installer/components/tls/settings.ts';
import { notYetApplied } from '../../installer/config/not-yet-applied.ts';
import { AppError } from '../../installer/errors.ts';
import { Secret } from '../../installer/model/secret.ts';
import { configFrom } from '../support/component-render.ts';
import { type Handler, route53Zone, serving } from '../support/dns-api.ts';

const RECORD = { name: '_acme-challenge.app.example.com', values: ['one', 'two'] };

async function thrownBy(run: () => Promise<unknown>): Promise<AppError> {
  try {
    await run();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** Cloudflare's API as far as a client of TXT records sees it: strict about token, zone and quotes. */
function cloudflareZone(token: string) {
  const records = new Map<string, { name: string; content: string }>();
  const answer = (result: unknown) => ({
    body: JSON.stringify({ success: true, errors: [], messages: [], result }),
  });
  const refuse = (status: number, code: number, message: string) => ({
    status,
    body: JSON.stringify({ success: false, errors: [{ code, message }], result: null }),
  });
  const handler: Handler = ({ method, url = '', headers }, body) => {
    if (headers.authorization !== `Bearer ${token}`) {
      return refuse(403, 9109, 'Invalid access token');
    }
    const { pathname, searchParams } = new URL(url, 'http://stand-in');
    if (pathname === '/zones') {
      const isOurs = searchParams.get('name') === 'example.com';
      return answer(isOurs ? [{ id: 'z1', name: 'example.com' }] : []);
    }
    if (!pathname.startsWith('/zones/z1/dns_records')) return refuse(404, 7003, 'no such zone');
    if (method === 'POST') {
      const { type, name, content, ttl } = JSON.parse(body);
      if (type !== 'TXT' || ttl < 60) return refuse(400, 9021, 'invalid TTL');
      if (!/^".*"$/.test(content)) return refuse(400, 9207, 'TXT content must be quoted');
      const id = `r${records.size + 1}`;
      records.set(id, { name, content });
      return answer({ id });
    }
    if (method === 'DELETE') {
      records.delete(pathname.split('/').at(-1) ?? '');
      return answer({});
    }
    const wanted = searchParams.get('name');
    const list = [...records].filter(([, record]) => record.name === wanted);
    return answer(list.map(([id, record]) => ({ id, ...record })));
  };
  return { records, handler };
}

t.test('Cloudflare: both values stand there, and only they are removed', async (t) => {
  const { records, handler } = cloudflareZone('right');
  const provider = cloudflare(new Secret('right'), 'DNS', await serving(t, handler));
  records.set('old', { name: RECORD.name, content: '"somebody else"' });
  await provider.check('app.example.com');
  await provider.put(RECORD);
  t.strictSame(
    [...records.values()].map(({ content }) => content),
    ['"somebody else"', '"one"', '"two"'],
  );
  await provider.remove(RECORD);
  await provider.remove(RECORD);
  t.strictSame([...records.keys()], ['old']);
});

t.test('Cloudflare: a wrong token and a zone that it may not see are told apart', async (t) => {
  const { records, handler } = cloudflareZone('right');
  const api = await serving(t, handler);
  const wrong = await thrownBy(() =>
    cloudflare(new Secret('wr0ng-t0ken'), 'DNS', api).check('app.example.com'),
  );
  t.match(wrong, { code: 'certificate/dns-provider', why: /403: Invalid access token \(9109\)/ });
  t.match(wrong.hint, /secrets set DNS/);
  t.notMatch(JSON.stringify(wrong) + wrong.message, /wr0ng-t0ken/);
  const foreign = await thrownBy(() =>
    cloudflare(new Secret('right'), 'DNS', api).check('app.example.org'),
  );
  t.match(foreign.what, /no zone of app\.example\.org/);
  t.equal(records.size, 0);
});

t.test('Cloudflare: nobody there', async (t) => {
  const provider = cloudflare(new Secret('right'), 'DNS', 'http://127.0.0.1:9');
  const error = await thrownBy(() => provider.check('app.example.com'));
  t.match(error, { code: 'certificate/dns-provider', what: /cannot be asked/ });
});

t.test(
  'Route 53: one record set holds all values, and a second removal is no failure',
  async (t) => {
    const { changes, handler } = route53Zone({ id: 'AKRIGHT', secret: 's3cret-key' });
    const endpoint = await serving(t, handler);
    const open = (id: string, secret = 's3cret-key') =>
      route53({
        accessKeyId: new Secret(id),
        secretAccessKey: new Secret(secret),
        secretName: 'DNS_SECRET_ACCESS_KEY',
        endpoint,
      });
    const provider = await open('AKRIGHT');
    await provider.check('app.example.com');
    await provider.put(RECORD);
    await provider.remove(RECORD);
    await provider.remove(RECORD);
    t.strictSame(
      changes.map((change) => change.replaceAll(/&quot;|"/g, '')),
      ['UPSERT one,two', 'DELETE one,two'],
    );

    for (const [id, secret, why] of [
      ['AKWRONG', 's3cret-key', /InvalidClientTokenId/],
      ['AKRIGHT', 'wr0ng-s3cret', /SignatureDoesNotMatch/],
    ] as const) {
      const wrong = await thrownBy(async () => (await open(id, secret)).check('app.example.com'));
      t.match(wrong, {
        code: 'certificate/dns-provider',
        what: /does not accept the access key/,
        why,
        hint: /secrets set DNS_SECRET_ACCESS_KEY/,
      });
      t.notMatch(wrong.message, secret);
    }
    const foreign = await thrownBy(() => provider.check('app.example.org'));
    t.match(foreign.what, /no public zone of app\.example\.org/);
  },
);

t.test('Route 53: the public zone is found behind a private one of the same name', async (t) => {
  const key = { id: 'AKRIGHT', secret: 's3cret-key' };
  const { changes, handler } = route53Zone(key, { privateZone: true });
  const provider = await route53({
    accessKeyId: new Secret(key.id),
    secretAccessKey: new Secret(key.secret),
    secretName: 'DNS_SECRET_ACCESS_KEY',
    endpoint: await serving(t, handler),
  });
  await provider.put(RECORD);
  t.equal(changes.length, 1, 'and the record stands in it');
});

const KEYS = { application: 'app-key', secret: 'app-s3cret', consumer: 'consumer-k3y' };
/** Of theirs: ours may be wrong. */
const CLOCK_AHEAD = 4000;

/** OVH's API as far as a client of TXT records sees it: strict about signature and time; `seen` is what name servers know. */
function ovhZone() {
  const records = new Map<number, { subDomain: string; target: string }>();
  let seen: string[] = [];
  const refuse = (status: number, message: string) => ({
    status,
    body: JSON.stringify({ class: 'Client', message }),
  });
  const answer = (value: unknown) => ({ body: JSON.stringify(value) });
  const now = () => Math.floor(Date.now() / 1000) + CLOCK_AHEAD;
  const handler: Handler = ({ method = '', url = '', headers }, body) => {
    if (url === '/1.0/auth/time') return answer(now());
    const time = String(headers['x-ovh-timestamp']);
    if (Math.abs(Number(time) - now()) > 30) return refuse(400, 'Query out of time');
    if (headers['x-ovh-application'] !== KEYS.application)
      return refuse(403, 'Invalid application');
    const full = `http://${headers.host}${url}`;
    const text = [KEYS.secret, KEYS.consumer, method, full, body, time].join('+');
    const right = `$1$${createHash('sha1').update(text).digest('hex')}`;
    if (headers['x-ovh-signature'] !== right) return refuse(400, 'Invalid signature');
    const { pathname, searchParams } = new URL(full);
    if (pathname === '/1.0/domain/zone') return answer(['other.example', 'example.com']);
    const zone = '/1.0/domain/zone/example.com';
    if (pathname === `${zone}/refresh`) {
      seen = [...records.values()].map(({ target }) => target);
      return { body: 'null' };
    }
    const id = Number(pathname.split('/').at(-1));
    const record = records.get(id);
    if (method === 'POST') {
      const { fieldType, subDomain, target, ttl } = JSON.parse(body);
      if (fieldType !== 'TXT' || ttl < 60) return refuse(400, 'Invalid record');
      records.set(records.size + 1, { subDomain, target });
      return answer({ id: records.size, fieldType, subDomain, target, ttl });
    }
    if (method === 'DELETE') {
      records.delete(id);
      return { body: 'null' };
    }
    if (record !== undefined) return answer({ id, ...record });
    const wanted = searchParams.get('subDomain');
    const ids = [...records].filter(([, { subDomain }]) => subDomain === wanted);
    return answer(ids.map(([key]) => key));
  };
  return { records, handler, seen: () => seen };
}

function ovhAt(api: string, more: Partial<typeof KEYS> = {}) {
  const { application, secret, consumer } = { ...KEYS, ...more };
  return ovh({
    applicationKey: new Secret(application),
    applicationSecret: new Secret(secret),
    consumerKey: new Secret(consumer),
    ...{ secretRef: 'DNS', api: `${api}/1.0` },
  });
}

t.test('OVH: both values are made known, and only they are removed', async (t) => {
  const { records, handler, seen } = ovhZone();
  const provider = ovhAt(await serving(t, handler));
  records.set(1, { subDomain: '_acme-challenge.app', target: '"somebody else"' });
  await provider.check('app.example.com');
  await provider.put(RECORD);
  t.strictSame(seen(), ['"somebody else"', '"one"', '"two"'], 'with a clock that is an hour off');
  await provider.remove(RECORD);
  await provider.remove(RECORD);
  t.strictSame(seen(), ['"somebody else"']);
  await provider.put({ name: 'example.com', values: ['apex'] });
  t.match([...records.values()].at(-1), { subDomain: '', target: '"apex"' });
});

t.test('OVH: wrong keys, a foreign zone and nobody there are told apart', async (t) => {
  const { records, handler } = ovhZone();
  const api = await serving(t, handler);
  for (const more of [{ secret: 'wr0ng-s3cret' }, { application: 'wr0ng-key' }]) {
    const wrong = await thrownBy(() => ovhAt(api, more).check('app.example.com'));
    t.match(wrong, { code: 'certificate/dns-provider', what: /does not accept the keys/ });
    t.match(wrong.hint, /secrets set DNS_APPLICATION_KEY/);
    t.notMatch(JSON.stringify(wrong) + wrong.message, /wr0ng|app-s3cret|consumer-k3y/);
  }
  const foreign = await thrownBy(() => ovhAt(api).check('app.example.org'));
  t.match(foreign.what, /no zone of app\.example\.org/);
  const nobody = await thrownBy(() => ovhAt('http://127.0.0.1:9').check('app.example.com'));
  t.match(nobody, { code: 'certificate/dns-provider', what: /cannot be asked/ });
  t.equal(records.size, 0);
});

t.test('OVH: its three secrets are asked for by name, and nothing is left unapplied', async (t) => {
  const config = configFrom(`
domain: app.example.com
services: {}
tls: { challenge: dns-01, dnsProvider: { kind: ovh, secretRef: DNS } }
`);
  t.notOk(notYetApplied(config).some(({ path }) => path.startsWith('tls')));
  const settings = acmeSettings(config);
  const names = ['DNS_APPLICATION_KEY', 'DNS_APPLICATION_SECRET', 'DNS_CONSUMER_KEY'];
  t.match(settings, { dns: { kind: 'ovh', server: 'eu.api.ovh.com' } });
  if (settings?.dns === undefined) throw new Error('no DNS settings');
  t.strictSame(acmeSecrets(settings), names);
  const stored = new Map(names.map((name) => [name, new Secret('x')]));
  t.ok(await openDnsProvider(settings.dns, stored));
  stored.delete('DNS_CONSUMER_KEY');
  await t.rejects(openDnsProvider(settings.dns, stored), {
    code: 'secret/missing-for-certificate',
    message: /DNS_CONSUMER_KEY/,
  });
});
