import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';
import t, { type Test } from 'tap';
import { commandTable } from '../../installer/cli/table.ts';
import type { ActiveAlert, AlertReceiver, ToldAlerts } from '../../installer/model/alert.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { until } from '../agent/support.ts';
import { runCommand } from '../support/cli.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';

const PATHS = pathsUnder();
const ROOT_ONLY = { mode: 0o600, uid: 0, gid: 0 };
const TOLD = `${PATHS.agent}/alerts-told.json`;
const SEVERITIES = ['page', 'warn'];
const HOOK = {
  name: 'ops',
  channel: 'webhook',
  secret: 'HOOK_URL',
  severities: SEVERITIES,
} as const;
const CHAT = {
  name: 'chat',
  channel: 'slack',
  secret: 'SLACK_URL',
  severities: SEVERITIES,
} as const;
const PAGER = {
  name: 'pager',
  channel: 'pagerduty',
  secret: 'PAGER_KEY',
  severities: ['page'],
} as const;

function alert(name: string, severity: string): ActiveAlert {
  const summary = `<${name}> happened.`;
  return {
    key: name,
    name,
    severity,
    summary,
    runbook: 'restore',
    since: '2026-11-21T11:00:00.000Z',
  };
}

/** A server with these alerts, whose receivers all stand at a real one that answers as told. */
async function world(t: Test, receivers: readonly AlertReceiver[]) {
  const asked: { readonly path: string; readonly body: Record<string, unknown> }[] = [];
  const answers: Record<string, number | (() => number)> = {};
  const holds: Record<string, () => boolean> = {};
  const server = createServer(async (request, response) => {
    const path = request.url ?? '';
    asked.push({ path, body: JSON.parse(await text(request)) });
    const answer = answers[path] ?? 200;
    const status = typeof answer === 'number' ? answer : answer();
    await until(`${path} may answer`, () => holds[path]?.() !== false);
    response.writeHead(status).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const host = new MemoryHost();
  const write = (path: string, value: unknown) =>
    host.files.write(path, Buffer.from(JSON.stringify(value)), ROOT_ONLY);
  const sender = { project: 'shop', domain: 'shop.example.com', environment: 'production' };
  write(`${PATHS.stack}/agent/agent.json`, {
    alerts: {
      service: 'prometheus',
      port: 9090,
      sender,
      receivers,
      pagerDuty: `${url}/v2/enqueue`,
    },
  });
  for (const { secret } of receivers) {
    host.files.write(
      `${PATHS.secrets}/${secret}`,
      Buffer.from(`${url}/${secret}-hunter22`),
      ROOT_ONLY,
    );
  }
  const show = (...alerts: ActiveAlert[]) =>
    write(`${PATHS.agent}/alerts.json`, {
      version: 1,
      askedAt: '2026-11-21T12:00:00.000Z',
      alerts,
    });
  const run = (verb: string, now = '2026-11-21T12:00:00Z', ...more: string[]) =>
    runCommand(['alerts', verb, ...more], commandTable, {
      server: { host, engine: new FakeEngine(host.effects) },
      more: { now: () => new Date(now) },
    });
  const told = (): ToldAlerts => JSON.parse(host.files.text(TOLD) ?? '{}');
  return { asked, answers, holds, host, show, run, told };
}

t.test('each receiver is told what it wants, in one message, in its own form', async (t) => {
  const { asked, host, show, run } = await world(t, [HOOK, CHAT, PAGER]);
  show(alert('PostgresDown', 'page'), alert('BackupFailed', 'warn'), alert('Fyi', 'info'));
  t.match(await run('send'), { exitCode: 0 });
  const bodyOf = (path: string) => asked.filter((one) => one.path === path).map(({ body }) => body);
  const words = /^shop \(shop\.example\.com, production\): 2 firing\nFIRING page PostgresDown: /;
  t.match(bodyOf('/HOOK_URL-hunter22'), [
    { version: 1, event: 'alerts', project: 'shop', text: words, resolved: [] },
  ]);
  t.match(bodyOf('/SLACK_URL-hunter22')[0]?.['text'], /&lt;BackupFailed&gt; happened/);
  const [incident, ...others] = bodyOf('/v2/enqueue');
  t.same(others, []);
  t.match(incident, {
    event_action: 'trigger',
    payload: { severity: 'critical', source: 'shop.example.com', summary: /PostgresDown/ },
  });
  t.notMatch(host.files.text(TOLD), /hunter22/);
  await run('send');
  t.equal(asked.length, 3, 'nobody is told twice');
  asked.length = 0;
  show(alert('BackupFailed', 'warn'));
  await run('send');
  t.match(bodyOf('/HOOK_URL-hunter22'), [{ text: /: 1 resolved\nRESOLVED page PostgresDown/ }]);
  const key = incident?.['dedup_key'];
  t.match(bodyOf('/v2/enqueue'), [{ event_action: 'resolve', dedup_key: key }]);
  const count = asked.length;
  await run('send');
  t.equal(asked.length, count, 'what still fires was told before');
});

t.test('one that refuses keeps nobody else from hearing, and is asked again later', async (t) => {
  const { asked, answers, show, run, told } = await world(t, [HOOK, CHAT]);
  answers['/HOOK_URL-hunter22'] = 404;
  show(alert('PostgresDown', 'page'));
  const first = await run('send');
  t.notMatch(first.stdout + first.stderr, /hunter22/);
  t.equal(asked.length, 2);
  t.match(told().receivers, {
    'ops/webhook': { failures: 1, why: 'it answered 404', told: [] },
    'chat/slack': { failures: 0 },
  });
  t.match(
    (await run('list')).stdout,
    /ops\/webhook could not be told \(1 times\): it answered 404/,
  );
  t.match(JSON.parse((await run('list', undefined, '--json')).stdout), {
    version: 1,
    alerts: [{ name: 'PostgresDown' }],
    undelivered: [{ receiver: 'ops/webhook', failures: 1 }],
  });
  await run('send', '2026-11-21T12:00:59Z');
  t.equal(asked.length, 2, 'not so soon');
  answers['/HOOK_URL-hunter22'] = 200;
  await run('send', '2026-11-21T12:01:00Z');
  t.equal(asked.length, 3);
  t.match(told().receivers['ops/webhook'], { failures: 0 });
});

t.test('a kill repeats at most what was not noted', async (t) => {
  const { asked, host, show, run, told } = await world(t, [HOOK, CHAT]);
  show(alert('PostgresDown', 'page'));
  host.crashAt({ effect: 2, when: 'before' });
  await run('send');
  host.effects.revive();
  const [noted = ''] = Object.keys(told().receivers);
  await run('send');
  t.equal(asked.length, 3);
  const path = noted === 'ops/webhook' ? '/HOOK_URL-hunter22' : '/SLACK_URL-hunter22';
  t.equal(asked.filter((one) => one.path === path).length, 1);
});

t.test('nobody waits for a PagerDuty that is slow; it hears of ends last', async (t) => {
  const { asked, holds, show, run, told } = await world(t, [PAGER, HOOK]);
  show(alert('PostgresDown', 'page'));
  // It answers once the other was told, which may not be after it.
  holds['/v2/enqueue'] = () => asked.some(({ path }) => path === '/HOOK_URL-hunter22');
  await run('send');
  t.match(told().receivers, { 'pager/pagerduty': { failures: 0 }, 'ops/webhook': { failures: 0 } });
  asked.length = 0;
  delete holds['/v2/enqueue'];
  show(alert('DiskFull', 'page'));
  await run('send');
  t.match(
    asked.filter(({ path }) => path === '/v2/enqueue').map(({ body }) => body['event_action']),
    ['trigger', 'resolve'],
  );
});

t.test('what PagerDuty took is not sent again with the rest', async (t) => {
  const { asked, answers, show, run, told } = await world(t, [PAGER]);
  show(alert('One', 'page'), alert('Two', 'page'), alert('Three', 'page'));
  answers['/v2/enqueue'] = () => (asked.length <= 2 ? 202 : 400);
  await run('send');
  t.match(told().receivers['pager/pagerduty'], {
    ...{ failures: 1, why: 'it answered 400' },
    told: [{ alert: { name: 'One' } }, { alert: { name: 'Two' } }],
  });
  answers['/v2/enqueue'] = 202;
  await run('send', '2026-11-21T12:01:00Z');
  t.equal(asked.length, 4);
  t.match(asked.at(-1)?.body['payload'], { summary: /Three/ });
});

t.test('a chat is told of what fits, the gravest first, and of the rest next', async (t) => {
  const { asked, show, run } = await world(t, [CHAT, HOOK]);
  const many = (from: number, severity: string) =>
    Array.from({ length: 20 }, (_, at) => alert(`Alert${from + at}-${'x'.repeat(100)}`, severity));
  const textsOf = (path: string) =>
    asked.filter((one) => one.path.includes(path)).map(({ body }) => String(body['text']));
  // Longer than what is left beside alerts that have no share kept from them.
  const old = alert(`Old-${'x'.repeat(260)}`, 'page');
  show(old);
  await run('send');
  asked.length = 0;
  show(...many(20, 'warn'), ...many(0, 'page'));
  for (let look = 0; look < 40; look += 1) await run('send');
  const chat = textsOf('SLACK');
  const [first = ''] = chat;
  // The server reads the text with its `<` and `>` escaped.
  const plain = (text: string) => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>');
  t.ok(chat.every((text) => plain(text).length <= 1900));
  t.match(first, /FIRING page Alert0-/);
  t.notMatch(first, /FIRING warn/);
  t.match(first, /RESOLVED page Old/, 'ends do not wait for the last that fires');
  t.match(first, /, \d+ more to follow\n/);
  const lines = chat.flatMap((text) => text.split('\n').slice(1));
  t.equal(lines.length, 41, 'each is told');
  t.equal(new Set(lines).size, 41, 'once');
  t.notMatch(chat.at(-1), /to follow/);
  t.equal(textsOf('HOOK')[0]?.split('\n').length, 42, 'others are not cut');
});

t.test('one long alert is cut for a chat and holds up none', async (t) => {
  const { asked, show, run } = await world(t, [CHAT]);
  show({ ...alert('Long', 'page'), summary: 'x'.repeat(5_000) }, alert('Next', 'page'));
  await run('send');
  t.match(asked, [{ body: { text: /FIRING page Long: x{300,400}…\nFIRING page Next/ } }]);
});

t.test('a letter that one of several addresses refuses is told, and stays on show', async (t) => {
  const mail = {
    name: 'ops',
    channel: 'email',
    secret: 'SMTP_URL',
    severities: SEVERITIES,
    to: ['a@example.com', 'nobody@example.com'],
  } as const;
  const { host, show, run, told } = await world(t, [mail]);
  const letters: string[] = [];
  const server = new SMTPServer({
    ...{ authOptional: true, hideSTARTTLS: true, disabledCommands: ['STARTTLS'] },
    onRcptTo: ({ address }, _session, done) =>
      done(address.startsWith('nobody@') ? new Error('no such mailbox') : null),
    onData: async (stream, _session, done) => {
      letters.push(await text(stream));
      done();
    },
  });
  const listening = server.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const url = `smtp://localhost:${(listening.address() as AddressInfo).port}`;
  host.files.write(`${PATHS.secrets}/SMTP_URL`, Buffer.from(url), ROOT_ONLY);
  show(alert('PostgresDown', 'page'));
  await run('send');
  await run('send', '2026-11-21T13:00:00Z');
  t.equal(letters.length, 1, 'the good address is told once');
  t.match(told().receivers['ops/email'], {
    ...{ failures: 0, why: 'not every address was taken' },
    told: [{ alert: { name: 'PostgresDown' } }],
  });
  t.match((await run('list')).stdout, /ops\/email was told in part: not every address was taken/);
  show();
  await run('send', '2026-11-21T13:01:00Z');
  t.equal(letters.length, 2);
  t.match(letters[1], /RESOLVED page PostgresDown/);
});

t.test('a disk that takes nothing keeps nobody from hearing, once', async (t) => {
  const { asked, host, show, run } = await world(t, [HOOK, CHAT]);
  show(alert('DiskFull', 'page'));
  const write = host.write.bind(host);
  const refuse = (...prefixes: string[]) => {
    host.write = async (path, ...more) => {
      if (prefixes.some((prefix) => path.startsWith(prefix))) throw new Error('ENOSPC');
      return write(path, ...more);
    };
  };
  const memory = PATHS.agentSocket.replace('agent.sock', 'alerts');
  refuse(PATHS.agent, memory);
  t.match(await run('send'), { exitCode: 16, stderr: /cannot be noted.*ENOSPC/s });
  t.equal(asked.length, 2, 'the second one is told as well');
  refuse(PATHS.agent);
  t.match(await run('send'), { exitCode: 0 });
  t.match(await run('send'), { exitCode: 0 });
  t.equal(asked.length, 4, 'noted in memory');
  refuse();
  show();
  await run('send');
  t.equal(asked.length, 6, 'their ends');
  t.equal(host.files.text(`${memory}-told.json`), undefined, 'the disk holds again');
  await run('send');
  t.equal(asked.length, 6);
});

t.test('a damaged record is none', async (t) => {
  for (const damaged of ['{"version":1,"rec', 'null', '']) {
    const { asked, host, show, run } = await world(t, [HOOK]);
    host.files.write(TOLD, Buffer.from(damaged), ROOT_ONLY);
    show(alert('PostgresDown', 'page'));
    t.match(await run('send'), { exitCode: 0 });
    t.equal(asked.length, 1);
  }
});

t.test('what nobody has looked at is not known to be well', async (t) => {
  const { show, run } = await world(t, [HOOK]);
  t.match(await run('list'), { exitCode: 11, stdout: /not known what fires.*asked never\./ });
  show();
  t.match(await run('list'), { exitCode: 0, stdout: /No alert fires/ });
  t.match(await run('list', '2026-11-21T12:02:00Z'), { exitCode: 0 });
  const late = await run('list', '2026-11-21T12:02:01Z');
  t.equal(late.exitCode, 11);
  t.match(late.stdout, /not known what fires: the agent last asked 2026-11-21T12:00:00\.000Z\./);
  t.notMatch(late.stdout, /No alert fires/);
  const json = await run('list', '2026-11-21T12:02:01Z', '--json');
  t.match(JSON.parse(json.stdout), { isKnown: false, askedAt: '2026-11-21T12:00:00.000Z' });
  t.equal(json.exitCode, 11);
});

t.test('a test message says who took it, and fails where somebody did not', async (t) => {
  const { asked, answers, run, host } = await world(t, [HOOK, PAGER]);
  t.match(await run('test'), {
    exitCode: 0,
    stdout: 'ops/webhook: taken\npager/pagerduty: taken\n',
  });
  t.match(
    asked.slice(1).map(({ body }) => body['event_action']),
    ['trigger', 'resolve'],
  );
  answers['/HOOK_URL-hunter22'] = 401;
  host.files.remove(`${PATHS.secrets}/PAGER_KEY`, false);
  const failed = await run('test');
  t.equal(failed.exitCode, 16);
  t.match(failed.stdout, /ops\/webhook: NOT taken: it answered 401\n/);
  t.match(failed.stdout, /pager\/pagerduty: NOT taken: PAGER_KEY is not set/);
  t.notMatch(failed.stdout + failed.stderr, /hunter22/);
});

t.test('nobody to tell is no success', async (t) => {
  const { run } = await world(t, []);
  t.match(await run('test'), { exitCode: 16, stderr: /nobody to tell/ });
});
