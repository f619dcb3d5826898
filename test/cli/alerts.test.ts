import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { commandTable } from '../../installer/cli/table.ts';
import type { ActiveAlert, AlertReceiver, ToldAlerts } from '../../installer/model/alert.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
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
  const answers: Record<string, number> = {};
  const server = createServer(async (request, response) => {
    const path = request.url ?? '';
    asked.push({ path, body: JSON.parse(await text(request)) });
    response.writeHead(answers[path] ?? 200).end();
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
  return { asked, answers, host, show, run, told };
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

t.test('a kill between two receivers repeats at most the one in hand', async (t) => {
  const { asked, host, show, run } = await world(t, [HOOK, CHAT]);
  show(alert('PostgresDown', 'page'));
  host.crashAt({ effect: 2, when: 'before' });
  await run('send');
  host.effects.revive();
  await run('send');
  t.same(
    asked.map(({ path }) => path),
    ['/HOOK_URL-hunter22', '/SLACK_URL-hunter22', '/SLACK_URL-hunter22'],
  );
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
