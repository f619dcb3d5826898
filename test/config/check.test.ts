import { execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import t from 'tap';
import { check } from '../../installer/cli/check.ts';
import { commandTable } from '../../installer/cli/table.ts';
import { loadConfig } from '../../installer/config/load.ts';
import { notYetApplied } from '../../installer/config/not-yet-applied.ts';
import { MAX_BYTES } from '../../installer/config/read-yaml.ts';
import { runCommand } from '../support/cli.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';
import { BASE, configOf, fixture, WEB } from './support.ts';

const nobody = { host: new MemoryHost(), engine: new FakeEngine() };

async function run(text: string | undefined, json = false) {
  let output = '';
  const bytes = text === undefined ? undefined : new TextEncoder().encode(text);
  const code = await check(
    { file: 'config.yaml', json },
    {
      read: async (path) => (path === 'config.yaml' ? bytes : undefined),
      write: (part) => {
        output += part;
      },
    },
  );
  return { code, output };
}

t.test('a valid config: exit code 0 and one line', async (t) => {
  t.strictSame(await run(`${BASE}\n${WEB}`), { code: 0, output: 'config.yaml is valid\n' });
});

t.test('warnings are shown and do not fail', async (t) => {
  const yaml = `${BASE}\n${WEB}\ntls: { hsts: { preload: true, includeSubDomains: true } }`;
  t.strictSame(await run(yaml), {
    code: 0,
    output: [
      'warning: config.yaml:6:25 tls.hsts.preload: takes months to undo once the browsers have listed the domain',
      'config.yaml is valid, with 1 warning',
      '',
    ].join('\n'),
  });
});

t.test('a faulty config: exit code 2, every problem, and how many', async (t) => {
  t.strictSame(await run(`${BASE}\n${WEB}\nredsi: {}\ntimezone: Mars`), {
    code: 2,
    output: [
      'config.yaml:6:1 redsi: unknown key (did you mean redis?)',
      'config.yaml:7:11 timezone: expected a time zone such as UTC or Europe/Paris, got "Mars"',
      'config.yaml: 2 to fix',
      '',
    ].join('\n'),
  });
});

t.test('a file that is not there says how to get one', async (t) => {
  t.strictSame(await run(undefined), {
    code: 2,
    output: 'config.yaml does not exist: `holdfast init` writes one\nconfig.yaml: 1 to fix\n',
  });
});

t.test('--json answers in a versioned shape', async (t) => {
  const { code, output } = await run(`${BASE}\n${WEB}\nredsi: {}`, true);
  t.equal(code, 2);
  t.strictSame(JSON.parse(output), {
    version: 1,
    ok: false,
    problems: [
      {
        file: 'config.yaml',
        path: 'redsi',
        line: 6,
        column: 1,
        code: 'config/unknown-key',
        message: 'unknown key (did you mean redis?)',
        severity: 'error',
      },
    ],
    warnings: [],
  });
  const fine = await run(`${BASE}\n${WEB}`, true);
  t.equal(fine.code, 0);
  t.strictSame(JSON.parse(fine.output), {
    version: 1,
    ok: true,
    project: 'app',
    problems: [],
    warnings: [],
  });
});

t.test('a promise that nobody keeps is named', async (t) => {
  const paths = (...lines: string[]) =>
    notYetApplied(configOf(WEB, 'tls: { issuer: selfsigned }', ...lines)).map(({ path }) => path);
  const window = 'window: { from: "02:00", to: "04:00", announce: 7d, urgentAnnounce: 1d }';
  t.strictSame(paths(`updates: { images: { policy: notify }, ${window} }`), [
    'updates.images.policy',
    'updates.window.announce',
    'updates.window.urgentAnnounce',
  ]);
  t.strictSame(
    paths(
      'accessories: { search: { image: "a/search:1", port: 80, health: { path: /, deepPath: /deep } } }',
    ),
    ['accessories.search.health.deepPath'],
  );
  const before = (event: string, job: string) =>
    paths(
      `postgres: { snapshotBefore: [${event}], pitr: { enabled: true } }`,
      `backups: { jobs: [{ name: a, source: postgres, method: ${job}, cron: "0 2 * * *" }] }`,
    );
  t.strictSame(before('apply', 'physical'), ['postgres.snapshotBefore']);
  t.strictSame(before('apply', 'logical'), []);
  t.strictSame(before('migrate', 'physical'), [], 'nothing is migrated');
});

t.test('what is accepted and not yet applied is named, and nothing else', async (t) => {
  t.strictSame(notYetApplied(configOf(WEB, 'tls: { issuer: selfsigned }')), []);
  const loaded = loadConfig(fixture('attendee.yaml'), 'attendee.yaml');
  t.ok(loaded.ok);
  if (!loaded.ok) return;
  t.strictSame(
    notYetApplied(loaded.config).map(({ path }) => path),
    ['logs.streams'],
  );
});

t.test(
  'what is no readable file is told, and no more of it is read than a config may have',
  async (t) => {
    const folder = t.testdir({
      'config.yaml': `${BASE}\n${WEB}\n`,
      'large.yaml': '#'.repeat(MAX_BYTES + 1),
    });
    const run = (path: string) => runCommand(['check', path], commandTable);
    t.match(await run(`${folder}/config.yaml`), { exitCode: 0, stdout: /is valid/ });
    t.match(await run(folder), { exitCode: 2, stderr: /it is a folder[\s\S]*config\/unreadable/ });
    for (const path of [`${folder}/large.yaml`, '/dev/zero']) {
      t.match(await run(path), { exitCode: 2, stdout: /is larger than 1 MiB/ }, path);
    }
    const pipe = `${folder}/pipe`;
    execFileSync('mkfifo', [pipe]);
    const writer = await open(pipe, 'r+');
    const waiting = run(pipe);
    // More than a pipe holds: once it is written, somebody reads.
    await writer.writeFile(`${BASE}\n${WEB}\n${'# more\n'.repeat(20_000)}`);
    await writer.close();
    t.match(await waiting, { exitCode: 0, stdout: /is valid/ }, 'a pipe whose writer is slow');
    t.match(await runCommand(['plan', '--config', folder], commandTable, { server: nobody }), {
      exitCode: 2,
      stderr: /it is a folder/,
    });
  },
);
