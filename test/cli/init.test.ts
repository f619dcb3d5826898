import t from 'tap';
import { commandTable } from '../../installer/cli/table.ts';
import { loadConfig } from '../../installer/config/load.ts';
import { runCommand } from '../support/cli.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';

const FILE = '/etc/holdfast/config.yaml';

/** On a terminal, with these lines typed. */
async function typed(lines: readonly string[]) {
  const host = new MemoryHost();
  const run = await runCommand(['init'], commandTable, {
    server: { host, engine: new FakeEngine(host.effects) },
    stdin: lines.map((line) => `${line}\n`).join(''),
    terminal: true,
  });
  return { ...run, config: host.files.text(FILE) };
}

t.test('asks again for what cannot be used, and takes the default for an empty line', async (t) => {
  const { exitCode, stdout, config } = await typed([
    'app.example.com',
    ...['nobody', 'ops@example.org'],
    'ghcr.io/acme/web:1.4.2',
    ...['none', '0', '65536', '8080'],
    '',
    'both',
    'no',
  ]);
  t.equal(exitCode, 0, stdout);
  t.match(
    stdout,
    /That cannot be used: expected a mail address, got "nobody"\.\nMail address .*\[ops@example\.com\]: /,
  );
  t.equal(stdout.match(/expected a port number/g)?.length, 3);
  const loaded = loadConfig(Buffer.from(config ?? ''), FILE);
  t.match(loaded, {
    ok: true,
    config: {
      domain: 'app.example.com',
      contact: 'ops@example.org',
      services: {
        web: {
          port: 8080,
          health: { path: '/health' },
          uses: [{ kind: 'postgres' }, { kind: 'redis' }],
        },
      },
    },
  });
});

t.test('the end of the input in mid-question writes nothing', async (t) => {
  const { exitCode, stderr, config } = await typed(['app.example.com']);
  t.equal(exitCode, 5);
  t.match(stderr, /nothing was written/);
  t.equal(config, undefined);
});

t.test(
  'without a terminal there are the options and the defaults; bad options all at once',
  async (t) => {
    const run = async (...argv: string[]) => {
      const host = new MemoryHost();
      const server = { host, engine: new FakeEngine(host.effects) };
      const ended = await runCommand(['init', ...argv], commandTable, { server });
      return { ...ended, config: host.files.text(FILE) };
    };
    t.match(await run('--domain', 'a.example'), {
      exitCode: 0,
      config: /project: "a"\ndomain: "a\.example"/,
    });
    const bad = await run('--port', 'x', '--uses', 'mysql');
    t.match(bad, {
      exitCode: 2,
      stderr: /2 answers cannot be used.*\n.*--port: .*\n.*--uses: /,
      config: undefined,
    });
  },
);

t.test('no config is written that `check` refuses', async (t) => {
  const cases: [string, string][] = [
    ...['example.com.', '1.0', 'null', 'a..b'].map((value): [string, string] => ['domain', value]),
    ['contact', 'ops@localhost'],
    ...['nginx', 'nginx:latest', 'app', '~/app'].map((value): [string, string] => ['image', value]),
    ['health', '/a?b=1'],
  ];
  for (const [option, value] of cases) {
    const host = new MemoryHost();
    const server = { host, engine: new FakeEngine(host.effects) };
    const run = await runCommand(['init', `--${option}`, value], commandTable, { server });
    const config = host.files.text(FILE);
    const isRefused = run.exitCode === 2 && run.stderr.includes(`--${option}: `);
    t.ok(
      config === undefined ? isRefused : loadConfig(config, FILE).ok,
      `${option} ${value}: ${run.stderr}`,
    );
  }
});

t.test('a domain may be typed in capitals', async (t) => {
  const { config } = await typed(['App.Example.com', ...Array(5).fill(''), 'no']);
  t.match(loadConfig(config ?? '', FILE), { ok: true, config: { domain: 'app.example.com' } });
});
