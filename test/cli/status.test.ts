import t from 'tap';
import { styleFor } from '../../installer/cli/display/style.ts';
import { statusText } from '../../installer/cli/status.ts';
import type { StatusReport } from '../../installer/cli/status-report.ts';

const NOW = new Date('2026-11-21T12:00:00Z');
const HOURS_AGO = (hours: number) => new Date(NOW.getTime() - hours * 3_600_000).toISOString();

const REPORT: StatusReport = {
  version: 1,
  project: 'shop',
  host: 'localhost',
  services: [
    { service: 'nginx', healthy: 1, replicas: 1, state: 'running', image: 'holdfast/nginx:1' },
    { service: 'web', healthy: 1, replicas: 2, state: 'unhealthy', image: 'acme/web:1' },
  ],
  backups: [
    {
      job: 'daily',
      ok: true,
      lastSuccessAt: HOURS_AGO(10),
      lastVerifiedAt: HOURS_AGO(9),
      bytes: 5 * 1024 ** 2,
    },
    { job: 'weekly', ok: false },
  ],
  restoreTest: { finishedAt: HOURS_AGO(34), seconds: 41, rows: 1200, ok: true },
  objectives: {},
  certificates: [
    { name: 'shop.example.com', daysLeft: 61, issuer: 'Some CA', isLate: false },
    { name: '*.shop.example.com', daysLeft: 61, issuer: 'Some CA', isLate: false },
    { name: 'status.example.com', daysLeft: 60, issuer: 'Some CA', isLate: false },
  ],
  certificateProblems: [],
  disk: { usedPercent: 41, freeBytes: 12 * 1024 ** 3 },
  pendingUpdates: [{ name: 'redis', current: 'a:1', available: 'a:2', changes: [] }],
  agent: 'running',
  problems: ['web: 1 of 2 healthy (unhealthy)'],
};

t.test('one screen tells how everything is, and where it answers', async (t) => {
  const text = statusText(REPORT, NOW, styleFor(false));
  const told = [
    /^shop on localhost\n/,
    /^ {2}● nginx {2}healthy {2}holdfast\/nginx:1$/m,
    /^ {2}● web {4}unhealthy 1\/2 {2}acme\/web:1$/m,
    /^ {2}at https:\/\/shop\.example\.com https:\/\/status\.example\.com$/m,
    /^ {2}backup daily: 10 h ago, 5\.0 MiB, verified 9 h ago$/m,
    /^ {2}backup weekly: none yet$/m,
    /^ {2}restore test: 34 h ago, came back in 41 s \(1200 rows\)$/m,
    /^ {2}certificate shop\.example\.com: 61 days left, signed by Some CA$/m,
    /^ {2}disk: 41 % used, 12\.0 GiB free$/m,
    /^ {2}updates: 1 pending; run: holdfast update$/m,
    /^ {2}agent: running$/m,
    /^✗ web: 1 of 2 healthy \(unhealthy\)\n$/m,
  ];
  for (const line of told) t.match(text, line);
  t.ok(text.split('\n').length < 24, 'one screen');
  t.match(statusText({ ...REPORT, problems: [] }, NOW, styleFor(false)), /^✓ All is well\.\n$/m);
});

t.test('where nothing answers over HTTPS, no address is told', async (t) => {
  t.notMatch(statusText({ ...REPORT, certificates: [] }, NOW, styleFor(false)), /https:/);
});
