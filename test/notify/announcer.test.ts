import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import type { DeployEvent, DeployReceiver } from '../../installer/model/deploy-event.ts';
import type { ProgressEvent } from '../../installer/model/events.ts';
import { Secret } from '../../installer/model/secret.ts';
import { announcer } from '../../installer/notify/announcer.ts';

const EVENT: DeployEvent = {
  kind: 'failed',
  at: '2026-11-28T12:00:00.000Z',
  who: 'deploy-key:ci',
  command: 'holdfast deploy api ghcr.io/acme/api:2',
  changes: [{ kind: 'service', name: 'api', version: 'ghcr.io/acme/api:2', replicas: 2 }],
  seconds: 12.3,
  reason: 'health/not-healthy: <!channel> api did not become healthy',
};
const SENDER = { project: 'shop', domain: 'shop.example.com', environment: 'production' };

interface Asked {
  readonly path: string;
  readonly body: Record<string, unknown>;
}

type Respond = (response: ServerResponse, request: IncomingMessage) => void;

/** A server that keeps what it is told, and an announcer whose receivers all stand there. */
async function setting(
  t: Test,
  receivers: readonly DeployReceiver[],
  {
    respond = (response) => response.end('ok'),
    answerSeconds = 60,
  }: { readonly respond?: Respond; readonly answerSeconds?: number } = {},
) {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const body = JSON.parse(await text(request)) as Record<string, unknown>;
    asked.push({ path: request.url ?? '', body });
    respond(response, request);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const warnings: string[] = [];
  const report = (event: ProgressEvent) => {
    if (event.kind === 'warning') warnings.push(event.text);
  };
  const values = new Map<string, Secret>(
    receivers.map(({ secret }) => [
      secret,
      new Secret(`http://127.0.0.1:${port}/hooks/${secret}-hunter22`),
    ]),
  );
  const announce = announcer({
    ...{ receivers, sender: SENDER, report, answerSeconds },
    pagerDuty: `http://127.0.0.1:${port}/v2/change/enqueue`,
    secrets: async () => values,
  });
  return { announce, asked, warnings, values, server };
}

const SLACK = { name: 'chat', channel: 'slack', secret: 'SLACK_URL' } as const;
const DISCORD = { name: 'chat', channel: 'discord', secret: 'DISCORD_URL' } as const;
const PAGER = { name: 'pager', channel: 'pagerduty', secret: 'PAGER_KEY' } as const;
const HOOK = { name: 'hook', channel: 'webhook', secret: 'HOOK_URL' } as const;

t.test('every receiver gets the form that it reads', async (t) => {
  const { announce, asked, warnings } = await setting(t, [SLACK, DISCORD, HOOK]);
  await announce(EVENT);
  const bodyOf = (secret: string) =>
    asked.find(({ path }) => path === `/hooks/${secret}-hunter22`)?.body;
  const words =
    /^shop \(shop\.example\.com, production\): deploy FAILED api ghcr\.io\/acme\/api:2 after 12 s\n/;
  t.match(bodyOf('SLACK_URL'), { text: words });
  t.match(bodyOf('SLACK_URL')?.['text'], /&lt;!channel&gt;/, 'nobody is called by a message');
  t.match(bodyOf('DISCORD_URL'), { content: words, allowed_mentions: { parse: [] } });
  t.match(bodyOf('HOOK_URL'), { version: 1, event: 'deploy', ...SENDER, ...EVENT, text: words });
  t.strictSame(warnings, []);
});

t.test('PagerDuty hears of a change, under its key', async (t) => {
  const { announce, asked, values, warnings } = await setting(t, [PAGER], {
    respond: (response) => response.writeHead(202).end('{"status":"success"}'),
  });
  values.set('PAGER_KEY', new Secret('r0ut1ngk3y\n'));
  await announce(EVENT);
  t.strictSame(warnings, []);
  t.match(asked, [
    {
      path: '/v2/change/enqueue',
      body: {
        routing_key: 'r0ut1ngk3y',
        payload: {
          summary: /^shop .*: deploy FAILED api ghcr\.io\/acme\/api:2 after 12 s$/,
          timestamp: EVENT.at,
          source: 'shop.example.com',
          custom_details: { kind: 'failed', changes: EVENT.changes, environment: 'production' },
        },
      },
    },
  ]);
  const refusing = await setting(t, [PAGER], {
    respond: (response) => response.writeHead(400).end(),
  });
  refusing.values.set('PAGER_KEY', new Secret('hunter22'));
  await refusing.announce(EVENT);
  t.match(refusing.warnings, [/receivers\.pager was not told .*: it answered 400$/]);
  t.equal(refusing.asked.length, 1);
});

t.test('a receiver that is overloaded is asked twice, one that refuses once', async (t) => {
  for (const [status, times] of [
    [503, 2],
    [429, 2],
    [404, 1],
    [302, 1],
  ] as const) {
    const respond: Respond = (response) =>
      response.writeHead(status, { location: '/elsewhere' }).end();
    const { announce, asked, warnings } = await setting(t, [HOOK], { respond });
    await announce(EVENT);
    t.equal(asked.length, times, String(status));
    t.match(warnings, [new RegExp(`receivers\\.hook was not told .*: it answered ${status}$`)]);
  }
});

t.test('what hangs, is gone or is not set is a warning without the URL', async (t) => {
  const hangs = await setting(t, [HOOK], { respond: () => undefined, answerSeconds: 1 });
  await hangs.announce(EVENT);
  t.match(hangs.warnings, [/no answer within 1 s$/]);
  t.equal(hangs.asked.length, 1);
  const gone = await setting(t, [HOOK]);
  gone.server.close();
  await once(gone.server, 'close');
  await gone.announce(EVENT);
  t.match(gone.warnings, [/no connection$/]);
  const unset = await setting(t, [HOOK, SLACK]);
  unset.values.delete('HOOK_URL');
  unset.values.set('SLACK_URL', new Secret('file:///etc/hunter22'));
  await unset.announce(EVENT);
  t.match(unset.warnings.toSorted(), [
    /SLACK_URL holds no URL/,
    /HOOK_URL is not set: holdfast secrets set HOOK_URL/,
  ]);
  t.equal(unset.asked.length, 0);
  for (const { warnings } of [hangs, gone, unset]) t.notMatch(warnings.join(), /hunter22|hooks/);
});

t.test('secrets that cannot be read stop no deploy', async (t) => {
  const warnings: string[] = [];
  const announce = announcer({
    receivers: [HOOK],
    sender: SENDER,
    report: (event) => warnings.push(event.kind === 'warning' ? event.text : ''),
    secrets: async () => {
      throw new Error('EACCES');
    },
  });
  await announce(EVENT);
  t.match(warnings, [/the secrets cannot be read/]);
});
