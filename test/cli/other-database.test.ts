import t from 'tap';
import { databaseNotices } from '../../installer/cli/other-database.ts';
import { commandTable } from '../../installer/cli/table.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { BASE } from '../config/support.ts';
import { runCommand } from '../support/cli.ts';
import { configOf } from '../support/component-input.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';

const paths = pathsUnder();
const ONE = 'image: "ghcr.io/acme/app:1", uses: [postgres]';
const services = (more = '') =>
  `services:\n  web: { ${ONE}, port: 3000${more} }\n  api: { ${ONE}${more.replace('web', 'api')} }\n`;

/** What the plan of the second config says where the first was applied. */
async function said(before: string | undefined, after: string) {
  const host = new MemoryHost();
  if (before !== undefined) {
    const file = { mode: 0o600, uid: 0, gid: 0 };
    await host.write(`${paths.state}/applied/config.yaml`, `${BASE}\n${before}`, file);
  }
  const loaded = { config: configOf(after), text: `${BASE}\n${after}` };
  return (await databaseNotices(host, paths, loaded)).map(({ text }) => text);
}

const ANALYTICS = 'postgres: { databases: [analytics] }\n';

t.test('one more database moves no service silently', async (t) => {
  await t.rejects(said(services(), `${ANALYTICS}${services()}`), {
    code: 'config/other-database',
    what: /web, api/,
    why: /services\.web has its data in web, and would go on with analytics\n.*api has its data in api/,
    hint: /`database: web` at services\.web, .*`database: analytics` to move/,
  });
  await t.rejects(
    said(
      `${ANALYTICS}${services()}`,
      `postgres: { databases: [analytics, reports] }\n${services()}`,
    ),
    { code: 'config/other-database', why: /data in analytics, and would go on with web/ },
    'and a second one moves none back',
  );
});

t.test('the plan refuses it before it looks at anything else', async (t) => {
  const host = new MemoryHost();
  const file = { mode: 0o600, uid: 0, gid: 0 };
  await host.write(`${paths.state}/applied/config.yaml`, `${BASE}\n${services()}`, file);
  const folder = t.testdir({ 'config.yaml': `${BASE}\n${ANALYTICS}${services()}` });
  const server = { host, engine: new FakeEngine(host.effects) };
  t.match(
    await runCommand(['plan', '--config', `${folder}/config.yaml`], commandTable, { server }),
    {
      exitCode: 2,
      stderr: /config\/other-database/,
    },
  );
});

t.test('a service stays, or moves, where that is written', async (t) => {
  t.strictSame(await said(services(), `${ANALYTICS}${services(', database: web')}`), []);
  t.match(
    await said(services(', database: web'), `${ANALYTICS}${services(', database: analytics')}`),
    [
      /services\.web: from the database web to analytics; what is in web stays there/,
      /services\.api: from the database api to analytics/,
    ],
  );
});

t.test(
  'without a change, an apply before, or a config that can be read there is nothing to say',
  async (t) => {
    t.strictSame(await said(services(), services()), []);
    t.strictSame(await said(undefined, `${ANALYTICS}${services()}`), []);
    t.strictSame(await said('services: 3\n', `${ANALYTICS}${services()}`), []);
    t.strictSame(await said(`services: { web: { ${ONE}, port: 3000 } }\n`, services()), []);
  },
);
