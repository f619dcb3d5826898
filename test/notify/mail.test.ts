import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import t, { type Test } from 'tap';
import type { DeployEvent, DeployReceiver } from '../../installer/model/deploy-event.ts';
import { Secret } from '../../installer/model/secret.ts';
import { announcer } from '../../installer/notify/announcer.ts';
import { deliver } from '../../installer/notify/deliver.ts';
import { withCertificates } from '../../installer/tls/private-ca.ts';

const EVENT: DeployEvent = {
  kind: 'succeeded',
  at: '2026-11-28T12:00:00.000Z',
  who: 'deploy-key:ci',
  command: 'holdfast deploy api ghcr.io/acme/api:2',
  changes: [{ kind: 'service', name: 'api', version: 'ghcr.io/acme/api:2', replicas: 2 }],
  seconds: 12.3,
};
const SENDER = { project: 'shop', domain: 'shop.example.com', environment: 'production' };
const USER = 'ops@example.com';
const PASSWORD = 'hunter/22@:';

const ca = await withCertificates({ authority: undefined, leaves: new Map() }, ['localhost'], {
  now: new Date(),
  name: 'test',
});
const authority = ca.authority?.certificate ?? '';
const leaf = ca.leaves.get('localhost');
const CERTIFICATE = { key: leaf?.key.reveal() ?? '', cert: leaf?.certificate ?? '' };

interface Letter {
  readonly from: string;
  readonly to: readonly string[];
  readonly encrypted: boolean;
  readonly text: string;
}

/** A mail server that takes letters for everybody but `nobody@`, from whoever knows the password. */
async function mailServer(t: Test, options: SMTPServerOptions = {}, address = '127.0.0.1') {
  const letters: Letter[] = [];
  const logins: string[] = [];
  const server = new SMTPServer({
    ...CERTIFICATE,
    onAuth: ({ username, password }, _session, done) => {
      logins.push(`${username} ${password}`);
      if (username === USER && password === PASSWORD) done(null, { user: username });
      else done(new Error(`the password ${password} is wrong`));
    },
    onRcptTo: ({ address: to }, _session, done) =>
      done(to.startsWith('nobody@') ? new Error('no such mailbox') : null),
    onData: async (stream, { envelope, secure }, done) => {
      const { mailFrom, rcptTo } = envelope;
      const from = mailFrom === false ? '' : mailFrom.address;
      const to = rcptTo.map((one) => one.address);
      letters.push({ from, to, encrypted: secure, text: await text(stream) });
      done();
    },
    ...options,
  });
  server.on('error', () => undefined);
  const listening = server.listen(0, address);
  await once(listening, 'listening');
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return { letters, logins, port: (listening.address() as AddressInfo).port };
}

interface Sending {
  readonly url: string;
  readonly receiver?: Partial<Extract<DeployReceiver, { channel: 'email' }>>;
  readonly trusted?: boolean;
  readonly seconds?: number;
}

/** What the deploy warns of. */
async function send({ url, receiver, trusted = true, seconds = 30 }: Sending) {
  const warnings: string[] = [];
  const announce = announcer({
    receivers: [
      { name: 'ops', channel: 'email', secret: 'SMTP_URL', to: ['a@example.com'], ...receiver },
    ],
    ...{ sender: SENDER, answerSeconds: seconds, ...(trusted && { authority }) },
    report: (event) => event.kind === 'warning' && warnings.push(event.text),
    secrets: async () => new Map([['SMTP_URL', new Secret(url)]]),
  });
  await announce(EVENT);
  t.notMatch(warnings.join(), /hunter|mailbox/, 'nothing of the login or of the server');
  return warnings;
}

const login = (password = PASSWORD) =>
  `${encodeURIComponent(USER)}:${encodeURIComponent(password)}`;

t.test('a letter goes by STARTTLS or TLS, with the login, to every address', async (t) => {
  for (const [scheme, secure] of [
    ['smtp', false],
    ['smtps', true],
  ] as const) {
    const { letters, port } = await mailServer(t, { secure });
    const to = ['a@example.com', 'b@example.org'];
    const url = `${scheme}://${login()}@localhost:${port}`;
    t.strictSame(await send({ url, receiver: { to } }), []);
    t.match(letters, [{ from: USER, to, encrypted: true }], scheme);
    const [{ text: letter } = { text: '' }] = letters;
    t.match(letter, /^Auto-Submitted: auto-generated\r$/m);
    t.match(
      letter.replace(/\r\n /g, ' '),
      /^Subject: shop \(shop\.example\.com, production\): deployed api/m,
    );
    t.match(letter, /by deploy-key:ci: holdfast deploy api ghcr\.io\/acme\/api:2/);
  }
});

t.test('the sender is who the config names, or a name at the domain', async (t) => {
  const { letters, port } = await mailServer(t, { authOptional: true });
  const url = `smtp://localhost:${port}`;
  t.strictSame(await send({ url, receiver: { from: 'deploys@example.com' } }), []);
  t.strictSame(await send({ url }), []);
  t.match(letters, [{ from: 'deploys@example.com' }, { from: 'holdfast@shop.example.com' }]);
});

t.test('a login is shown to no server that is not the right one', async (t) => {
  // Any address but the usual ones of this machine stands for another machine.
  const plain = await mailServer(
    t,
    { hideSTARTTLS: true, disabledCommands: ['STARTTLS'] },
    '127.0.0.2',
  );
  t.match(await send({ url: `smtp://${login()}@127.0.0.2:${plain.port}` }), [
    /no encryption|no safe/,
  ]);
  const unknown = await mailServer(t);
  const url = `smtp://${login()}@localhost:${unknown.port}`;
  t.match(await send({ url, trusted: false }), [/no safe connection/]);
  t.strictSame([...plain.logins, ...unknown.logins], []);
  t.strictSame([...plain.letters, ...unknown.letters], []);
});

t.test('whoever refuses, hangs or is not set is a warning with the reason', async (t) => {
  const { port, letters } = await mailServer(t);
  const refused = await send({ url: `smtp://${login('hunter23')}@localhost:${port}` });
  t.match(refused, [/receivers\.ops was not told .*: the mail server refused the login \(535\)$/]);
  const url = `smtp://${login()}@localhost:${port}`;
  const nobody = ['nobody@example.com'];
  t.match(await send({ url, receiver: { to: nobody } }), [/the mail server answered 550$/]);
  const some = ['a@example.com', ...nobody];
  t.match(await send({ url, receiver: { to: some } }), [/not every address was taken$/]);
  t.equal(letters.length, 1, 'the others have it');
  t.match(await send({ url: 'http://localhost/hunter22' }), [
    /SMTP_URL holds no URL such as smtp:/,
  ]);
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => silent.close());
  const { port: deaf } = silent.address() as AddressInfo;
  const late = await send({ url: `smtp://localhost:${deaf}`, seconds: 1 });
  t.match(late, [/no answer within 1 s|did not answer in time/]);
});

t.test('where nobody waits, a slow mail server has longer than one answer of others', async (t) => {
  const { port } = await mailServer(t, {
    authOptional: true,
    onMailFrom: (_address, _session, done) => setTimeout(done, 500),
  });
  const receiver = {
    name: 'ops',
    channel: 'email',
    secret: 'SMTP_URL',
    to: ['a@example.com'],
  } as const;
  const news = { text: 'late', body: () => '', pagerDuty: { url: '', bodies: () => [] } };
  const deliverWithin = (mailSeconds?: number) =>
    deliver(
      {
        domain: 'shop.example.com',
        authority,
        answerSeconds: 0.2,
        ...(mailSeconds && { mailSeconds }),
      },
      receiver,
      new Secret(`smtp://localhost:${port}`),
      news,
    );
  t.match(await deliverWithin(), { taken: 0, why: /no answer within|in time/ });
  t.same(await deliverWithin(60), { taken: 1 });
});
