import t from 'tap';
import { loadConfig } from '../../installer/config/load.ts';
import { formatProblem } from '../../installer/config/problem.ts';

const HEAD = 'version: 1\ndomain: app.example.com\ncontact: ops@example.com\n';
const WEB = 'services:\n  web: { image: "ghcr.io/acme/app:1", port: 3000, uses: [postgres] }\n';

function problemsOf(body: string): string[] {
  const loaded = loadConfig(HEAD + body, 'config.yaml');
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
}

t.test('settings, names and volumes that would hurt are told with their line', async (t) => {
  const cases: [string, string][] = [
    [
      `postgres: { settings: { fsync: off } }\n${WEB}`,
      'config.yaml:4:32 postgres.settings.fsync: is refused: a crash could destroy the database',
    ],
    [
      `postgres: { settings: { max_connections: 5 } }\n${WEB}`,
      'config.yaml:4:42 postgres.settings.max_connections: is refused: write postgres.maxConnections instead',
    ],
    [
      `postgres: { owner: postgres }\n${WEB}`,
      "config.yaml:4:20 postgres.owner: a role postgres is the server's own: write another name at postgres.owner",
    ],
    [
      `project: public\npostgres: { databases: [app] }\n${WEB}`,
      "config.yaml:4:10 project: a role public is the server's own: write another name at postgres.owner",
    ],
    [
      `postgres: { databases: [template1] }\n${WEB}`,
      'config.yaml:4:25 postgres.databases[0]: every server has template1: choose another name',
    ],
    [
      `postgres: { databases: [app, stats] }\nservices:\n  web: { image: "ghcr.io/acme/app:1", port: 3000, uses: [postgres], database: other }\n`,
      'config.yaml:6:79 services.web.database: other is neither in postgres.databases nor its own, which is web',
    ],
    [
      'services:\n  holdfast-monitor: { image: "ghcr.io/acme/app:1", port: 3000, uses: [postgres] }\n',
      "config.yaml:5:3 services.holdfast-monitor: its database role would be holdfast_monitor, which is the server's own: choose another name",
    ],
    [
      'services:\n  template1: { image: "ghcr.io/acme/app:1", port: 3000, uses: [postgres] }\n',
      'config.yaml:5:3 services.template1: its database would be template1, which every server has: choose another name',
    ],
    [
      'services:\n  web: { image: "ghcr.io/acme/app:1", port: 3000, volumes: [{ name: postgres-data, mount: /x }] }\n',
      'config.yaml:5:69 services.web.volumes[0].name: postgres-data is a volume of the platform: choose another name',
    ],
  ];
  for (const [body, expected] of cases) t.strictSame(problemsOf(body), [expected]);
});

t.test('what is only unusual is let through', async (t) => {
  const named = 'services: { template0: { image: "ghcr.io/acme/app:1", uses: [postgres] } }\n';
  t.strictSame(problemsOf(`postgres: { databases: [app] }\n${named}`), []);
  t.strictSame(problemsOf(`postgres: { settings: { work_mem: 16MB, fsync: "on" } }\n${WEB}`), []);
  t.strictSame(problemsOf(`postgres: { databases: [app], owner: pgowner }\n${WEB}`), []);
  // Nobody makes a role of the project where it owns no database.
  t.strictSame(problemsOf(`project: public\npostgres: {}\n${WEB}`), []);
});
