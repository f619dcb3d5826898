import t from 'tap';
import { BASE, configOf, problemsOf, WEB } from './support.ts';

/** Of the processor: what else the machine does is no matter. Each takes a fraction of it; a bomb that goes off, minutes. */
const QUICK_MS = 8_000;

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

const nested = Array.from({ length: 100 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n');

function aliasBomb(): string {
  const levels = Array.from({ length: 12 }, (_, level) => {
    const item = level === 0 ? 'x' : `*a${level - 1}`;
    return `a${level}: &a${level} [${Array(10).fill(item).join(', ')}]`;
  });
  return [BASE, ...levels].join('\n');
}

const rows: readonly {
  readonly name: string;
  readonly text: () => string;
  readonly says: string;
}[] = [
  {
    name: 'an alias bomb',
    text: aliasBomb,
    says: 'config.yaml holds too many values once its aliases are written out',
  },
  {
    name: 'a file over 1 MiB',
    text: () => '#'.repeat(1024 ** 2 + 1),
    says: 'config.yaml is larger than 1 MiB, the most that a config may have',
  },
  {
    name: 'a million brackets',
    text: () => '['.repeat(1_000_000),
    says: 'config.yaml:1:61 is nested too deeply',
  },
  {
    name: 'dashes within dashes',
    text: () => '- '.repeat(500_000),
    says: 'config.yaml:1:120 is nested too deeply',
  },
  {
    name: 'a staircase of mappings',
    text: () => nested,
    says: 'config.yaml:60:61 is nested too deeply',
  },
  {
    name: 'half a million empty values',
    text: () => `a: [${'1,'.repeat(500_000)}]`,
    says: 'config.yaml:1:333335 holds too many values',
  },
];

for (const { name, text, says } of rows) {
  t.test(`${name} is refused quickly, with one message`, async (t) => {
    const input = text();
    const started = cpuMs();
    t.strictSame(problemsOf(input), [says]);
    t.ok(cpuMs() - started < QUICK_MS);
  });
}

t.test('a file of nothing but mistakes is cut short, quickly', async (t) => {
  const keys = Array.from({ length: 40_000 }, (_, index) => `key${index}: ${index}`);
  const started = cpuMs();
  const problems = problemsOf([BASE, ...keys].join('\n'));
  t.ok(cpuMs() - started < QUICK_MS);
  t.equal(problems.length, 201);
  t.equal(problems[0], 'config.yaml:4:1 key0: unknown key');
  t.equal(problems.at(-1), 'config.yaml and 39800 more like these');
});

t.test('text that invites a slow search takes none', async (t) => {
  const started = cpuMs();
  for (const part of ['eyJ-', 'a://', 'sk-', 'ghp_', '-----BEGIN ', '1.']) {
    const value = part.repeat(Math.floor(900_000 / part.length));
    const yaml = [BASE, 'services:', '  web:', '    image: a/b:1', `    env: { A: "${value}" }`];
    problemsOf(yaml.join('\n'));
  }
  t.ok(cpuMs() - started < 2 * QUICK_MS);
});

t.test('a hundred and fifty aliases of one small anchor are fine', async (t) => {
  const services = Array.from(
    { length: 150 },
    (_, index) => `  web-${index}: { image: "ghcr.io/acme/web:1.4.2", env: *shared }`,
  );
  const config = configOf(
    'profiles: { base: { env: &shared { LOG_LEVEL: info } } }',
    'services:',
    ...services,
  );
  t.equal(Object.keys(config.services).length, 150);
  t.strictSame(config.services['web-149']?.env, { LOG_LEVEL: 'info' });
});

t.test('a byte-order mark and Windows line ends change nothing', async (t) => {
  const windows = `\uFEFF${[BASE, WEB, 'redis: { maxMemory: 5 }'].join('\n').replaceAll('\n', '\r\n')}`;
  const says = [
    'config.yaml:6:21 redis.maxMemory: expected a size of at least 6m, such as 256m or 4g, got 5',
  ];
  t.strictSame(problemsOf(windows), says);
  t.strictSame(problemsOf(Buffer.from(windows)), says);
});

t.test('a byte-order mark does not move the first column', async (t) => {
  t.strictSame(problemsOf(`\uFEFFversion: 2\n${BASE.split('\n').slice(1).join('\n')}\n${WEB}`), [
    'config.yaml:1:10 version: expected 1, got 2',
  ]);
});

t.test('other encodings are refused', async (t) => {
  const says = ['config.yaml is not UTF-8 text: save it as UTF-8'];
  t.strictSame(problemsOf(Buffer.from('project: café', 'latin1')), says);
  t.strictSame(problemsOf(Buffer.from('\uFEFFversion: 1', 'utf16le')), says);
});

t.test('YAML 1.2 decides what is text', async (t) => {
  const config = configOf(
    'services:',
    '  web:',
    '    image: ghcr.io/acme/web:1.4.2',
    '    env: { A: no, B: on, C: 12:30:45, D: 0o17x, E: ~x }',
  );
  t.strictSame(config.services['web']?.env, {
    A: 'no',
    B: 'on',
    C: '12:30:45',
    D: '0o17x',
    E: '~x',
  });
});

t.test('an empty file and one that is no mapping say what is needed', async (t) => {
  const empty = 'config.yaml:1:1 is empty: needs at least version, domain, contact and a service';
  t.strictSame(problemsOf(''), [empty]);
  t.strictSame(problemsOf('# nothing yet\n'), [empty]);
  t.strictSame(problemsOf('- version: 1'), [
    'config.yaml:1:1 expected a mapping of sections at the top level',
  ]);
  t.strictSame(problemsOf('services: {}'), [
    'config.yaml:1:1 version: is missing: expected 1',
    'config.yaml:1:1 domain: is missing: expected a host name such as app.example.com',
    'config.yaml:1:1 contact: is missing: expected a mail address such as ops@example.com',
  ]);
});
