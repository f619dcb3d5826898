import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { RenewResult } from '../../installer/acme/renew.ts';
import type { RenewOutcome } from '../../installer/cli/certificates.ts';
import type { AcmeSettings } from '../../installer/model/certificate-settings.ts';
import { waitFor } from '../support/containers.ts';
import { route53Zone, serving } from '../support/dns-api.ts';
import { AcmeEdge } from './support/acme-edge.ts';
import { AcmeLab, CAA_IDENTITY, TSIG_KEY } from './support/acme-lab.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const LIFE_DAYS = 6;
const GOOD = 'good.edge.example';
const CACHE = 'cdn.edge.example';
const BAD = ['caa', 'elsewhere', 'nowhere', 'six', 'bound'].map((label) => `${label}.edge.example`);

const edge = await AcmeEdge.start([GOOD, ...BAD], [CACHE]);
t.teardown(() => edge.stop());
const zone = [
  `good A ${edge.address}`,
  `good CAA 0 issue "${CAA_IDENTITY}"`,
  `cdn A ${edge.address}`,
  `caa A ${edge.address}`,
  'caa CAA 0 issue "other.example"',
  `bound A ${edge.address}`,
  `bound CAA 0 issue "${CAA_IDENTITY}; accounturi=https://pebble.example/another-account"`,
  'elsewhere A 127.0.0.78',
  `six A ${edge.address}`,
  'six AAAA 100::1',
  `sub A ${edge.address}`,
].join('\n');
const lab = await AcmeLab.start(
  join(edge.root, 'lab'),
  { nameServer: edge.gateway, zone, httpPort: 8080 },
  { days: LIFE_DAYS },
);
t.teardown(() => lab.stop());
await writeFile(join(edge.root, 'acme-ca.pem'), lab.ca);

function wants(hosts: readonly string[], more: Partial<AcmeSettings> = {}): AcmeSettings {
  return {
    directory: lab.directory,
    caFile: join(edge.root, 'acme-ca.pem'),
    contact: 'ops@edge.example',
    proxied: false,
    precheck: true,
    certificates: hosts.map((name) => ({ name, hosts: [name] })),
    ...more,
  };
}

const orders = (): number => lab.orders;
/** A reload is over when the last worker of before has let go of the port. */
const servedAnew = (host: string, before: string) =>
  waitFor('another certificate on the wire', async () => {
    const served = await edge.served(host);
    return served.serialNumber === before ? undefined : served;
  });
const resultOf = ({ results }: RenewOutcome, name: string): RenewResult | undefined =>
  results.find((result) => result.name === name);
const codeOf = (result: RenewResult | undefined): string | undefined =>
  result?.outcome === 'failed' ? result.error.code : result?.outcome;

t.test('one name gets its certificate while five wrong ones are told what to change', async (t) => {
  const startedAt = await edge.startedAt();
  const before = await edge.served(GOOD);
  t.notMatch(before.issuer, /Pebble/, 'a private certificate from the first moment');
  await edge.settings(wants([GOOD, ...BAD]));
  const outcome = await edge.renew();

  t.strictSame(outcome.changed, [GOOD]);
  const after = await servedAnew(GOOD, before.serialNumber);
  t.match(after.issuer, /Pebble/);
  t.match(after.publicKey.asymmetricKeyType, 'ec', 'ECDSA');
  t.equal(await edge.startedAt(), startedAt, 'without a restart');
  t.strictSame(
    BAD.map((name) => codeOf(resultOf(outcome, name))),
    [
      'certificate/caa',
      'certificate/elsewhere',
      'certificate/no-address',
      'certificate/elsewhere',
      'certificate/caa',
    ],
  );
  const messages = BAD.map((name) => {
    const result = resultOf(outcome, name);
    return result?.outcome === 'failed' ? `${result.error.message} ${result.error.hint}` : '';
  });
  t.match(messages[0], /add: caa\.edge\.example CAA 0 issue "pebble\.example"/);
  t.match(messages[1], /its A record is 127\.0\.0\.78.*refused.*set the record/s);
  t.match(messages[2], /add: nowhere\.edge\.example A /);
  t.match(messages[3], /its AAAA record is 100::1.*remove the record six\.edge\.example AAAA/s);
  t.match(
    messages[4],
    /the account of this server is https:.*"pebble\.example; accounturi=https:/s,
  );
  t.equal(orders(), 1, 'the wrong names spent no attempt');
  for (const name of BAD) t.notMatch((await edge.served(name)).issuer, /Pebble/, `${name} serves`);
});

t.test('port 80 shows proofs and redirects the rest, and none is left there', async (t) => {
  t.strictSame(await readdir(join(edge.root, 'var/lib/holdfast/acme-challenges')), []);
  t.match(await edge.plain(GOOD, '/.well-known/acme-challenge/none'), { status: 404 });
  t.match(await edge.plain(GOOD, '/x?y=1'), {
    status: 301,
    location: `https://${GOOD}/x?y=1`,
  });
});

t.test('a host of the edge cache gets its certificate as others do', async (t) => {
  const before = await edge.served(CACHE);
  await edge.settings(wants([CACHE]));
  t.strictSame((await edge.renew()).changed, [CACHE]);
  t.match((await servedAnew(CACHE, before.serialNumber)).issuer, /Pebble/);
});

t.test('renewed when a third of six days is left, and not before', async (t) => {
  await edge.settings(wants([GOOD]));
  const { serialNumber, validToDate } = await edge.served(GOOD);
  const asked = orders();
  const early = validToDate.getTime() - (LIFE_DAYS / 3) * DAY - HOUR;
  t.equal(resultOf(await edge.renew({ at: early }), GOOD)?.outcome, 'none');
  t.equal(resultOf(await edge.renew({ at: early, force: true }), GOOD)?.outcome, 'none');
  t.equal(orders(), asked);
  t.equal((await edge.served(GOOD)).serialNumber, serialNumber);

  const due = validToDate.getTime() - 1.6 * DAY;
  t.equal(
    resultOf(await edge.renew({ at: due, urgentOnly: true }), GOOD)?.outcome,
    'none',
    'the hourly look leaves it to the hour of the config',
  );
  t.strictSame((await edge.renew({ at: due })).changed, [GOOD]);
  await servedAnew(GOOD, serialNumber);
});

t.test(
  'an authority that refuses, hangs, breaks off or is rate limited: the old one stays',
  async (t) => {
    await edge.settings(wants([GOOD]));
    const { serialNumber, validToDate } = await edge.served(GOOD);
    let at = validToDate.getTime() - DAY;
    const attempt = async (fault: AcmeLab['fault'], more = {}) => {
      lab.fault = fault;
      // Beyond every pause of the attempt before.
      at += 2 * HOUR;
      const outcome = await edge.renew({ at, force: true, ...more });
      lab.fault = undefined;
      t.strictSame(outcome.changed, []);
      return codeOf(resultOf(outcome, GOOD));
    };
    const limited = {
      kind: 'answer',
      path: 'order-plz',
      status: 429,
      type: 'rateLimited',
    } as const;
    t.equal(await attempt({ kind: 'cut', path: '/dir' }), 'certificate/unreachable');
    t.equal(
      await attempt({ kind: 'hang', path: '/order-plz' }, { answerSeconds: 1 }),
      'certificate/unreachable',
    );
    t.equal(
      await attempt({ kind: 'answer', path: '/nonce-plz', status: 503 }),
      'certificate/unreachable',
    );
    t.equal(
      await attempt({ ...limited, status: 403, type: 'rejectedIdentifier' }),
      'certificate/refused',
    );
    t.equal(
      await attempt({ ...limited, status: 400, type: 'badNonce' }),
      'certificate/unreachable',
      'nonces that it takes for wrong for ever',
    );
    t.equal(await attempt({ ...limited, retryAfter: '36000' }), 'certificate/rate-limited');
    const asked = lab.asked.length;
    t.equal(await attempt(undefined), 'wait', 'what the authority asked for holds, whoever asks');
    t.equal(lab.asked.length, asked, 'it was not even asked');
    t.equal((await edge.served(GOOD)).serialNumber, serialNumber);
  },
);

t.test('a proof that the authority refuses counts, and pauses only its own name', async (t) => {
  const wrong = 'elsewhere.edge.example';
  await edge.settings(wants([wrong, 'sub.edge.example'], { precheck: false }));
  const first = await edge.renew();
  t.equal(codeOf(resultOf(first, wrong)), 'certificate/not-proved');
  t.match(resultOf(first, wrong), { error: { why: /elsewhere\.edge\.example/ } });
  t.equal(
    codeOf(resultOf(first, 'sub.edge.example')),
    'certificate/not-proved',
    'no server block of nginx has this name',
  );
  const asked = orders();
  t.equal(resultOf(await edge.renew(), wrong)?.outcome, 'wait');
  t.equal(orders(), asked);
  t.equal(
    codeOf(resultOf(await edge.renew({ at: Date.now() + 2 * HOUR }), wrong)),
    'certificate/not-proved',
  );
});

t.test(
  'a wildcard by DNS updates, and a wrong key that is told before anything is asked',
  async (t) => {
    const dns = {
      kind: 'rfc2136',
      server: edge.gateway,
      keyName: TSIG_KEY.name,
      algorithm: 'hmac-sha256',
      keySecret: 'DNS',
    } as const;
    const certificates = [{ name: 'edge.example', hosts: ['edge.example', '*.edge.example'] }];
    await edge.settings(wants([], { dns, certificates }));
    await edge.secret('DNS', Buffer.alloc(32, 8).toString('base64'));
    const asked = lab.asked.length;
    const refused = resultOf(await edge.renew(), 'edge.example');
    t.equal(codeOf(refused), 'certificate/dns-provider');
    t.match(refused, { error: { why: /BADSIG/, hint: /secrets set DNS/ } });
    t.equal(lab.asked.length, asked);

    await edge.secret('DNS', TSIG_KEY.secret);
    const outcome = await edge.renew();
    t.match(resultOf(outcome, 'edge.example'), { outcome: 'issued' });
    t.strictSame(
      [...outcome.changed].sort(),
      [...BAD, CACHE, GOOD].sort(),
      'every host takes what lasts longest',
    );
    const served = await waitFor('the wildcard on the wire', async () => {
      const found = await edge.served('six.edge.example');
      return found.subjectAltName?.includes('DNS:*.edge.example') ? found : undefined;
    });
    t.match(served.issuer, /Pebble/);
  },
);

t.test('keys that Route 53 does not know: told before the authority is asked', async (t) => {
  const { changes, handler } = route53Zone({ id: 'AKRIGHT', secret: 'right' });
  // By this the SDK of Amazon is sent to another place than theirs.
  const elsewhere = 'AWS_ENDPOINT_URL_ROUTE_53';
  process.env[elsewhere] = await serving(t, handler);
  t.teardown(() => {
    delete process.env[elsewhere];
  });
  const dns = { kind: 'route53', accessKeyIdSecret: 'ID', secretAccessKeySecret: 'KEY' } as const;
  const certificates = [{ name: 'example.com', hosts: ['*.example.com'] }];
  await edge.settings(wants([], { dns, certificates }));
  const asked = lab.asked.length;
  for (const [id, key, code] of [
    ['AKWRONG', 'right', 'InvalidClientTokenId'],
    ['AKRIGHT', 'wr0ng-key', 'SignatureDoesNotMatch'],
  ] as const) {
    await edge.secret('ID', id);
    await edge.secret('KEY', key);
    const refused = resultOf(await edge.renew(), 'example.com');
    t.match(refused, {
      outcome: 'failed',
      error: {
        code: 'certificate/dns-provider',
        what: /does not accept the access key/,
        why: new RegExp(code),
        hint: /secrets set KEY/,
      },
    });
  }
  t.equal(lab.asked.length, asked);
  t.strictSame(changes, []);
});

const state = (): string => join(edge.paths.tls, 'acme/state.json');

t.test('an apply brings what is missing, and one that cannot only warns', async (t) => {
  await edge.settings(wants(['six.edge.example'], { precheck: false }));
  lab.fault = { kind: 'cut', path: '/dir' };
  const warnings = await edge.bring();
  lab.fault = undefined;
  t.match(warnings, [/^certificate\/unreachable: .*six\.edge\.example/]);
  await edge.settings(wants([GOOD]));
  await rm(state());
  const { serialNumber, validToDate } = await edge.served(GOOD);
  t.strictSame(await edge.bring(validToDate.getTime() - DAY), []);
  await servedAnew(GOOD, serialNumber);
});

t.test(
  'a proof that is checked for ever is remembered, and the names after it go on',
  async (t) => {
    const slow = 'six.edge.example';
    await edge.settings(wants([slow, GOOD], { precheck: false }));
    await rm(state());
    const { serialNumber, validToDate } = await edge.served(GOOD);
    const at = validToDate.getTime() - DAY;
    lab.undecided = slow;
    const warnings = await edge.bring(at, { answerSeconds: 1 });
    lab.undecided = undefined;
    t.strictSame(warnings, [
      `certificate/unreachable: ${new URL(lab.directory).host} does not get the certificate for ${slow} done: ` +
        `${slow}: it has not come to an end with checking the proof. ` +
        'the authority has trouble of its own; holdfast tries again by itself',
    ]);
    await servedAnew(GOOD, serialNumber);
    const remembered = JSON.parse(await readFile(state(), 'utf8')).authorities[lab.directory][slow];
    t.match(remembered, { failures: 1, problem: { code: 'certificate/unreachable' } });
    t.match(
      (await edge.bring(at)).join('\n'),
      /^certificate\/waits: the certificate of six\.edge\.example is asked for again after .*: the last attempt failed/m,
      'and paused, which an apply tells',
    );
  },
);

t.test('an apply carries on even where asking for certificates is broken', async (t) => {
  await writeFile(join(edge.paths.stack, 'agent/certificates.json'), '{');
  t.match(await edge.bring(), [/^bug\/certificates: .*SyntaxError.*holdfast certificates renew/]);
});

t.test('the authority says when to renew, and that counts', async (t) => {
  await edge.settings(wants([GOOD]));
  await rm(state());
  const { validFromDate } = await edge.served(GOOD);
  const start = validFromDate.getTime() + DAY;
  lab.suggested = { start, end: start + HOUR };
  t.match(resultOf(await edge.renew(), GOOD), { outcome: 'none' });
  t.ok(lab.asked.includes('renewal-info'));
  const result = resultOf(await edge.renew(), GOOD);
  const due = result?.outcome === 'none' ? result.dueAt.getTime() : 0;
  t.ok(due >= start && due <= start + HOUR, 'a moment within the window');
  t.equal(lab.asked.filter((word) => word === 'renewal-info').length, 1, 'asked once in six hours');
  const { serialNumber } = await edge.served(GOOD);
  t.strictSame((await edge.renew({ at: start + 2 * HOUR, urgentOnly: true })).changed, [GOOD]);
  // Long before a third is left.
  await servedAnew(GOOD, serialNumber);
  lab.suggested = undefined;
});

t.test('killed at every step, it serves, and the next run gets there', async (t) => {
  // The name server of this test is known to this process only.
  await edge.settings(wants([GOOD], { precheck: false }));
  const child = new URL('support/acme-renew-child.ts', import.meta.url).pathname;
  const steps = [
    { ask: '/chalZ' },
    { ask: '/certZ' },
    { write: 'acme/certificates' },
    { write: 'manifest.json' },
    { write: `secret-mounts/nginx/${GOOD}` },
  ];
  for (const { ask = '', write = '' } of steps) {
    const step = `${ask}${write}`;
    // As if a week had gone by: the limits of the authority are another test's.
    await rm(state(), { force: true });
    const { serialNumber, validToDate } = await edge.served(GOOD);
    const at = validToDate.getTime() - DAY;
    const run = spawn(process.execPath, [child, edge.root, edge.address, String(at), write], {
      stdio: 'ignore',
    });
    lab.onAsk = (path) => {
      if (ask !== '' && path.includes(ask)) run.kill('SIGKILL');
    };
    const [, signal] = await once(run, 'exit');
    lab.onAsk = () => undefined;
    t.equal(signal, 'SIGKILL', `killed at ${step}`);
    t.match((await edge.served(GOOD)).subjectAltName, GOOD, 'it serves all the same');
    await edge.renew({ at: at + 2 * HOUR });
    await servedAnew(GOOD, serialNumber);
    t.strictSame(await readdir(join(edge.root, 'var/lib/holdfast/acme-challenges')), [], step);
  }
});

t.test('an account that must belong to somebody', async (t) => {
  const key = Buffer.alloc(32, 9).toString('base64url');
  const options = { nameServer: edge.gateway, zone: '', httpPort: 8080 };
  const strict = await AcmeLab.start(join(edge.root, 'strict'), options, {
    eab: { 'kid-1': key },
    days: LIFE_DAYS,
  });
  t.teardown(() => strict.stop());
  await writeFile(join(edge.root, 'acme-ca.pem'), strict.ca);
  const { directory } = strict;
  const eab = { keyId: 'kid-1', secret: 'EAB' };
  const renewed = async (more: Partial<AcmeSettings>) => {
    await rm(state(), { force: true });
    await edge.settings(wants([GOOD], { directory, ...more }));
    return resultOf(await edge.renew(), GOOD);
  };
  t.match(await renewed({}), {
    error: { code: 'certificate/account', hint: /`tls\.eab` and store its secret/ },
  });
  await edge.secret('EAB', Buffer.alloc(32, 8).toString('base64url'));
  t.match(await renewed({ eab }), { outcome: 'failed' }, 'a wrong key');
  await edge.secret('EAB', key);
  t.match(await renewed({ eab: { ...eab, keyId: 'kid-2' } }), { outcome: 'failed' });
  t.equal(strict.orders, 0);
  t.match(await renewed({ eab }), { outcome: 'issued' });
  t.equal(strict.orders, 1);
});
