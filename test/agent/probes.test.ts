import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import t, { type Test } from 'tap';
import { askOnce, withCertificateAge } from '../../agent/net/probes.ts';
import { request } from '../../agent/net/request.ts';
import type { Probe } from '../../installer/model/contribution.ts';

const openssl = (...argv: string[]) => execFileSync('openssl', argv, { stdio: 'pipe' });

/** An HTTPS server for app.example.com, signed by an authority of its own. */
async function frontDoor(t: Test) {
  const folder = t.testdir({});
  const file = (name: string) => `${folder}/${name}`;
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  openssl(
    'req',
    '-x509',
    ...ec,
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.crt'),
    '-subj',
    '/CN=test',
  );
  openssl(
    'req',
    '-x509',
    ...ec,
    '-keyout',
    file('web.key'),
    '-out',
    file('web.crt'),
    '-subj',
    '/CN=app.example.com',
    '-addext',
    'subjectAltName=DNS:app.example.com',
    '-CA',
    file('ca.crt'),
    '-CAkey',
    file('ca.key'),
  );
  const seen: string[] = [];
  const server = createServer(
    { key: readFileSync(file('web.key')), cert: readFileSync(file('web.crt')) },
    (incoming, response) => {
      seen.push(`${incoming.method} ${incoming.headers.host}${incoming.url}`);
      if (incoming.url === '/broken') response.writeHead(500).end();
      else if (incoming.url === '/long') {
        for (let part = 0; part < 40; part += 1) response.write(`${part} ${'x'.repeat(5_000)}\n`);
        response.end('the end');
      } else response.writeHead(200).end('{"status":"ok"}');
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise((resolve) => server.close(resolve)));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const edge = {
    edgeAddress: '127.0.0.1',
    edgeHosts: ['app.example.com', 'other.example.com'],
    caFile: file('ca.crt'),
  };
  const ask = (path: string, more: Partial<Probe> = {}, host = 'app.example.com') =>
    askOnce(
      {
        name: 'web',
        url: `https://${host}:${port}${path}`,
        everySeconds: 60,
        timeoutSeconds: 5,
        ...more,
      },
      edge,
    );
  return { ask, seen, port, edge, file };
}

t.test(
  'a probe goes to the front door under the name of the site, before DNS knows it',
  async (t) => {
    const { ask, seen, port } = await frontDoor(t);
    const result = await ask('/health?deep=1', { expectBody: '"status":"ok"' });
    t.match(result, { name: 'web', ok: true, why: '' });
    t.ok(result.seconds > 0 && result.seconds < 5);
    t.strictSame(seen, [`GET app.example.com:${port}/health?deep=1`]);
  },
);

t.test(
  'another status, another body, another certificate: each is a failure with its reason',
  async (t) => {
    const { ask, edge, port } = await frontDoor(t);
    t.match(await ask('/broken'), { ok: false, why: 'status 500' });
    t.match(await ask('/', { expectBody: 'something else' }), { ok: false, why: /body/ });
    t.match(await ask('/', {}, 'other.example.com'), { ok: false, why: /hostname mismatch/ });
    const probe = {
      name: 'web',
      url: `https://app.example.com:${port}/`,
      everySeconds: 60,
      timeoutSeconds: 5,
    };
    t.match(await askOnce(probe, { ...edge, caFile: '/nowhere' }), {
      ok: false,
      why: /certificate is refused/,
    });
  },
);

t.test('a long answer in chunks is read as one', async (t) => {
  const { ask } = await frontDoor(t);
  t.match(await ask('/long', { expectBody: '39 x' }), { ok: true });
  t.match(await ask('/long', { expectBody: 'xxx\n20 xxx' }), { ok: true });
});

t.test('a server that takes the connection and says nothing is given up in time', async (t) => {
  const silent = createTcpServer();
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  t.teardown(() => silent.close());
  const address = silent.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  for (const scheme of ['http', 'https']) {
    const url = new URL(`${scheme}://127.0.0.1:${port}/secret-path`);
    await t.rejects(request({ url, method: 'GET', timeoutSeconds: 1 }), {
      message: `127.0.0.1:${port}: no answer within 1 s`,
    });
  }
});

t.test('nobody listens: said with the host, never with the path', async (t) => {
  for (const scheme of ['http', 'https']) {
    const url = new URL(`${scheme}://127.0.0.1:1/secret-path`);
    const failure = await request({ url, method: 'GET', timeoutSeconds: 5 }).catch(
      (error) => error,
    );
    t.match(failure.message, /^127\.0\.0\.1:1: /);
    t.notMatch(failure.message, /secret-path/);
  }
});

t.test(
  'a certificate that ends too soon fails the probe of its host, and of no other',
  async (t) => {
    const now = Date.parse('2026-05-01T00:00Z');
    const probe = (name: string, certExpiryDays?: number): Probe => ({
      name,
      url: `https://${name}.example.com/`,
      everySeconds: 60,
      timeoutSeconds: 5,
      ...(certExpiryDays === undefined ? {} : { certExpiryDays }),
    });
    const results = ['a', 'b', 'c'].map((name) => ({ name, ok: true, seconds: 0.1, why: '' }));
    const ends = (name: string, days: number) => ({
      name: `${name}.example.com`,
      notAfter: now / 1_000 + days * 86_400,
    });
    const judged = withCertificateAge(
      results,
      [probe('a', 14), probe('b', 14), probe('c')],
      [ends('a', 13), ends('b', 14), ends('c', 1)],
      now,
    );
    t.match(judged, [
      { name: 'a', ok: false, why: 'the certificate ends in 13 days' },
      { name: 'b', ok: true },
      { name: 'c', ok: true },
    ]);
  },
);

t.test('a full disk leaves no open files behind', async (t) => {
  const fs = process.getBuiltinModule('node:fs');
  const write = fs.writeSync;
  t.teardown(() => {
    fs.writeSync = write;
  });
  fs.writeSync = () => {
    throw new Error('ENOSPC: no space left on device, write');
  };
  const open = () => readdirSync('/proc/self/fd').length;
  const before = open();
  const url = new URL('https://127.0.0.1:1/');
  await t.rejects(request({ method: 'GET', url, timeoutSeconds: 5 }), { message: /ENOSPC/ });
  fs.writeSync = write;
  t.equal(open(), before);
});
