import t from 'tap';
import { agent } from '../../installer/components/agent/component.ts';
import { windowSeconds } from '../../installer/components/agent/jobs.ts';
import { backups } from '../../installer/components/backups/component.ts';
import type { Collected } from '../../installer/components/component.ts';
import { components } from '../../installer/components/registry.ts';
import type { AgentSettings } from '../../installer/model/agent-settings.ts';
import type { BackupSettings } from '../../installer/model/backup-settings.ts';
import { isInWindow } from '../../installer/model/maintenance-window.ts';
import { mergeContributions } from '../../installer/render/merge.ts';
import { configOf, inputOf } from '../support/component-input.ts';

const WEB = 'services: { web: { image: acme/web:1, port: 3000, health: { path: /health }';

function rendered(body: string, stored: Record<string, string> = {}) {
  const config = configOf(body);
  const input = inputOf(config, components, { stored });
  const enabled = components.filter((component) => component.enabled(config));
  const collected: Collected = mergeContributions(
    enabled.map((component) => component.contribute?.(input) ?? {}),
  );
  const settings = agent.collect?.(input, collected);
  const own = backups.collect?.(input, collected);
  const textOf = (files: typeof settings, path: string) => {
    const content = files?.files?.find((file) => file.path === path)?.content;
    return content !== undefined && 'text' in content ? content.text : '';
  };
  return {
    agent: JSON.parse(textOf(settings, 'agent/agent.json')) as AgentSettings,
    backup: JSON.parse(textOf(own, 'agent/backup.json')) as BackupSettings,
    files: [...(settings?.files ?? []), ...(own?.files ?? [])],
    notices: own?.notices ?? [],
  };
}

t.test(
  'without a backups section: a daily backup here, a weekly restore test, and a warning',
  async (t) => {
    const { agent, backup, notices } = rendered(`${WEB}, uses: [postgres] } }`);
    t.strictSame(
      backup.jobs.map(({ name, cron, source, store }) => ({ name, cron, source, store })),
      [
        {
          name: 'daily',
          cron: '0 2 * * *',
          source: { kind: 'postgres', databases: ['web'] },
          store: 'local',
        },
      ],
    );
    t.strictSame(backup.stores, [
      { kind: 'directory', name: 'local', path: '/var/lib/holdfast/backups/store' },
    ]);
    t.match(
      agent.jobs.map(({ id, argv, cron }) => ({ id, argv, cron })),
      [
        { id: 'backup-daily', argv: ['backup', 'run', 'daily'], cron: '0 2 * * *' },
        { id: 'restore-test', argv: ['backup', 'restore-test'], cron: '0 6 * * 0' },
        { id: 'certificates-urgent', argv: ['certificates', 'renew', '--urgent'] },
        { id: 'certificates', argv: ['certificates', 'renew'], cron: '0 3 * * *' },
        { id: 'update-check', argv: ['update', '--check'] },
      ],
    );
    t.strictSame(agent.jobs[0]?.times.hours, [2]);
    t.strictSame(
      [backup.pitr, agent.wal],
      [undefined, undefined],
      'a disk does not protect itself',
    );
    t.match(notices, [{ code: 'backups/local-only', text: /losing the disk/ }]);
  },
);

t.test('the rate of base backups reaches what runs them, in bytes', async (t) => {
  const { backup } = rendered(
    `${WEB}, uses: [postgres] } }\npostgres: { pitr: { maxRate: 20m } }\n`,
  );
  t.equal(backup.pitr?.maxRate, 20 * 1024 ** 2);
});

t.test('a bucket, a class of its own and a ping make stores, secrets and jobs', async (t) => {
  const { backup, agent, notices, files } = rendered(
    `${WEB}, uses: [postgres], volumes: [{ name: files, mount: /data, backup: true }] } }
storage: { providers: { r2: { kind: r2, accountSecret: R2_ACCOUNT, secretRef: R2_KEYS } } }
backups:
  provider: r2
  bucket: acme-backups
  recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]
  jobs:
    - { name: daily, source: postgres, cron: "0 2 * * *", keep: { daily: 7, weekly: 4 }, ping: PING_URL }
    - { name: monthly, source: postgres, cron: "0 5 1 * *", storageClass: STANDARD_IA }
`,
    {
      R2_ACCOUNT: 'abc123',
      R2_KEYS_ACCESS_KEY_ID: 'id',
      R2_KEYS_SECRET_ACCESS_KEY: 'key',
      PING_URL: 'https://hc.example/1',
    },
  );
  t.match(backup.stores, [
    { name: 'r2', endpoint: 'https://abc123.r2.cloudflarestorage.com', bucket: 'acme-backups' },
    { name: 'r2-standard_ia', storageClass: 'STANDARD_IA' },
  ]);
  t.match(backup.jobs, [
    { name: 'daily', store: 'r2', keepRemote: { daily: 7, weekly: 4, monthly: 0 } },
    { name: 'monthly', store: 'r2-standard_ia' },
    { name: 'base', method: 'physical', store: 'r2', keepRemote: { keepSeconds: 8 * 86_400 } },
    { name: 'volume-files', source: { kind: 'volume' }, store: 'r2' },
  ]);
  t.match(backup.pitr, { job: 'base', store: 'r2', rpoSeconds: 60, windowSeconds: 7 * 86_400 });
  t.notOk('maxRate' in (backup.pitr ?? {}), 'no limit by itself');
  t.match(agent.wal, { baseJob: 'backup-base', ship: { argv: ['backup', 'ship-wal'] } });
  t.equal(agent.jobs[0]?.pingSecret, 'PING_URL');
  t.notMatch(JSON.stringify([agent, backup]), /hc\.example/);
  t.match(notices, [{ code: 'backups/no-kit', text: /source: appliance/ }]);
  t.equal(notices.length, 1);
  t.equal(
    files.find(({ path }) => path === 'agent/backup.json')?.secret,
    true,
    'the account is a secret: its file is never shown',
  );
});

const BUCKET = `storage: { providers: { s3: { kind: s3, endpoint: "https://s3.example.com", region: eu, secretRef: KEYS } } }
backups: { provider: s3, bucket: acme, recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]`;
const KEYS = { KEYS_ACCESS_KEY_ID: 'id', KEYS_SECRET_ACCESS_KEY: 'key' };

t.test('where backups go to a bucket, a recovery kit is made by itself', async (t) => {
  const { backup, notices } = rendered(`${WEB}, uses: [postgres] } }\n${BUCKET} }`, KEYS);
  t.match(backup.jobs, [
    { name: 'daily' },
    { name: 'appliance', source: { kind: 'appliance' }, cron: '0 3 * * *', store: 's3' },
    { name: 'base' },
  ]);
  t.strictSame(notices, []);
  const clear = rendered(`${WEB} } }\n${BUCKET}, encryption: none }`, KEYS);
  t.strictSame(clear.backup.jobs, [], 'never in the clear');
});

t.test('queues in Redis that no job saves are told', async (t) => {
  const config = `${WEB}, uses: [redis] } }\nredis: { purpose: queue }`;
  const codes = (body: string) => rendered(body).notices.map(({ code }) => code);
  t.ok(codes(config).includes('backups/redis-uncovered'));
  const saved = `${config}\nbackups: { jobs: [{ name: queues, source: redis, cron: "0 2 * * *" }] }`;
  t.notOk(codes(saved).includes('backups/redis-uncovered'));
});

t.test(
  'a drill comes as often as the config says; base backups alone are proved too',
  async (t) => {
    const { agent, backup } = rendered(`${WEB}, uses: [postgres] } }
postgres: { pitr: { enabled: true } }
backups:
  drill: { every: quarterly }
  jobs: [{ name: base, source: postgres, method: physical, cron: "0 1 * * *" }]
`);
    t.match(
      agent.jobs.filter(({ id }) => ['restore-test', 'drill'].includes(id)),
      [
        { argv: ['backup', 'restore-test'], cron: '0 6 * * 0', catchUp: true },
        { argv: ['backup', 'drill'], cron: '0 8 2 1,4,7,10 *', catchUp: true },
      ],
    );
    t.match(backup, { restoreTestCron: '0 6 * * 0', drillCron: '0 8 2 1,4,7,10 *' });
  },
);

t.test('a kit and its copy at another provider are jobs of their own', async (t) => {
  const { backup, agent } = rendered(`${WEB} } }
storage: { providers: { copy: { kind: directory, path: /srv/copy } } }
backups:
  jobs:
    - { name: kit, source: appliance, cron: "0 4 * * 0" }
    - { name: copied, source: "backup:kit", provider: copy, cron: "0 4 * * 0" }
`);
  t.match(backup.jobs, [{ name: 'kit', source: { kind: 'appliance' } }, { name: 'copied' }]);
  t.equal(backup.jobs.length, 2);
  t.strictSame(
    agent.jobs.map(({ id }) => id),
    [
      'backup-kit',
      'backup-copied',
      'certificates-urgent',
      'certificates',
      'update-check',
      'report',
    ],
  );
});

t.test(
  'each service with a public health path is probed; the own words of the user win',
  async (t) => {
    const probes = (routes: string, more = '') =>
      rendered(`${WEB}, routes: [${routes}] } }\n${more}`).agent.probes;
    t.match(probes('{ path: / }'), [{ name: 'web', url: 'https://app.example.com/health' }]);
    t.match(probes('{ path: /api/, strip: true }'), [
      { url: 'https://app.example.com/api/health' },
    ]);
    t.strictSame(probes('{ path: /api/ }'), [], 'the path is not reached from outside');
    t.strictSame(probes('{ path: /, allowFrom: [10.0.0.0/8] }'), []);
    t.match(
      probes(
        '{ path: / }',
        'monitoring: { probes: [{ name: web, url: https://app.example.com/deep, every: 5m, expectBody: ok }] }',
      ),
      [{ url: 'https://app.example.com/deep', everySeconds: 300, expectBody: 'ok' }],
    );
  },
);

t.test(
  'updates happen by themselves only when the config says so and names a window',
  async (t) => {
    const job = (updates: string) =>
      rendered(`${WEB} } }\nupdates: ${updates}`).agent.jobs.find(({ id }) => id === 'update');
    t.equal(job('{ window: { from: "02:00", to: "06:00" } }'), undefined);
    t.match(job('{ images: { policy: auto }, window: { day: Sun, from: "02:30", to: "06:00" } }'), {
      argv: ['update', '--yes'],
      cron: '30 2 * * 0',
      catchUp: false,
      lateAfterSeconds: 3.5 * 3_600 - 600,
      timeoutSeconds: 3.5 * 3_600,
    });
    t.match(
      job(
        '{ images: { policy: auto }, window: { day: Sun, from: "22:00", to: "02:00", every: monthly } }',
      ),
      { cron: '0 22 * * 0', firstWeekOnly: true, timeoutSeconds: 4 * 3_600 },
    );
    t.equal(windowSeconds('00:00', '00:00'), 86_400);
  },
);

t.test('a window is open from its start to its end, in its zone, over midnight too', async (t) => {
  const open = (at: string, more = {}) =>
    isInWindow(
      { day: 'Sun', from: '22:00', to: '02:00', every: 'weekly', ...more },
      'Europe/Paris',
      new Date(at),
    );
  // 2026-05-03 is a Sunday; Paris is two hours ahead.
  t.equal(open('2026-05-03T19:59Z'), false);
  t.equal(open('2026-05-03T20:00Z'), true);
  t.equal(open('2026-05-03T23:59Z'), true, 'Monday, 01:59 in Paris');
  t.equal(open('2026-05-04T00:00Z'), false);
  t.equal(open('2026-05-02T23:00Z'), false, 'Saturday’s night');
  t.equal(open('2026-05-10T20:30Z', { every: 'monthly' }), false, 'the second Sunday');
  t.equal(open('2026-05-03T20:30Z', { every: 'monthly' }), true);
  t.equal(open('2026-05-05T20:30Z', { every: 'daily' }), true);
  t.equal(open('2026-05-03T05:00Z', { from: '06:00', to: '08:00' }), true);
});

t.test(
  'updates that may begin in the hour that spring leaves out are let in after it',
  async (t) => {
    const nightly = { from: '02:00', to: '03:00', every: 'daily' } as const;
    const open = (zone: string, at: string, more = {}) =>
      isInWindow({ ...nightly, ...more }, zone, new Date(at));
    // The job of 02:00 comes at 03:00 there.
    t.equal(open('Europe/Paris', '2026-03-29T00:59Z'), false);
    t.equal(open('Europe/Paris', '2026-03-29T01:00Z', { day: 'Sun', every: 'weekly' }), true);
    t.equal(open('Europe/Paris', '2026-03-29T01:59Z'), true);
    t.equal(open('Europe/Paris', '2026-03-29T02:00Z'), false);
    t.equal(open('America/New_York', '2026-03-08T07:10Z', { day: 'Sun', every: 'monthly' }), false);
    t.equal(open('America/New_York', '2026-03-08T07:10Z', { day: 'Sun', every: 'weekly' }), true);
    t.equal(open('Europe/Paris', '2026-03-30T01:00Z'), false, 'the next day is like any other');
    t.equal(open('UTC', '2026-03-29T02:30Z'), true);
  },
);

t.test('the service is systemd’s unit, or an init script where systemd does not run', async (t) => {
  const { files } = rendered(`${WEB} } }`);
  const unit = files.find(({ path }) => path.endsWith('.service'));
  t.match(unit, {
    path: '/etc/systemd/system/holdfast-agent.service',
    onChange: [{ id: 'agent-restart' }],
  });
  t.match(
    files.find(({ path }) => path === 'agent/agent.json'),
    { onChange: [{ id: 'agent-reload', impact: 'none' }] },
  );
});

t.test('each service is watched by what its config says of its health', async (t) => {
  const { agent } = rendered(`
services:
  web:
    image: acme/web:1
    port: 3000
    health: { path: /health, expect: ready, deepPath: /deep, interval: 20s, timeout: 3s, healthy: 3, unhealthy: 5 }
    resources: { cpus: 0.5, memory: 192m }
    uses: [postgres]
    dbPool: 7
  plain: { image: acme/plain:1, port: 4000 }
  worker: { image: acme/worker:1, health: { command: [check], unhealthy: 4 } }
postgres: { maxConnections: 50 }
`);
  t.equal(agent.connectionsAllowed, 40);
  t.strictSame(agent.services, [
    {
      name: 'web',
      check: { kind: 'http', port: 3000, path: '/health', expect: 'ready' },
      intervalSeconds: 20,
      timeoutSeconds: 3,
      healthy: 3,
      unhealthy: 5,
      deep: { port: 3000, path: '/deep' },
      memoryBytes: 192 * 1024 ** 2,
      cpus: 0.5,
      connections: 7,
    },
    {
      name: 'plain',
      check: { kind: 'port', port: 4000 },
      intervalSeconds: 10,
      timeoutSeconds: 5,
      healthy: 2,
      unhealthy: 3,
      memoryBytes: 256 * 1024 ** 2,
      connections: 0,
    },
    {
      name: 'worker',
      check: { kind: 'engine' },
      intervalSeconds: 10,
      timeoutSeconds: 5,
      healthy: 2,
      unhealthy: 1,
      memoryBytes: 256 * 1024 ** 2,
      connections: 0,
    },
  ]);
});
