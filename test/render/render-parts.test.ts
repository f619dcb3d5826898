import t from 'tap';
import { parse } from 'yaml';
import type { TemplateFormat } from '../../installer/model/contribution.ts';
import { Secret } from '../../installer/model/secret.ts';
import type { Stack, StackService } from '../../installer/model/stack.ts';
import { composeSecretsText, composeText } from '../../installer/render/compose-file.ts';
import { escapeFor } from '../../installer/render/escape.ts';
import { mergeRecords } from '../../installer/render/merge.ts';
import { buildStack, specDigest } from '../../installer/render/stack.ts';
import { allocateSubnets, subnetsInUse } from '../../installer/render/subnets.ts';
import { renderTemplate } from '../../installer/render/template.ts';

const HOSTILE = 'a"b\'c\\d$e%f<%= g %>{{h}}\n#: - |\u2028ü';

const web: StackService = {
  image: 'demo:1',
  networks: { app: null },
  healthcheck: { test: ['NONE'] },
  mem_limit: 1024,
  environment: { TEXT: HOSTILE, YES: 'no' },
  secrets: [{ file: '/secrets/web/KEY', target: '/run/secrets/KEY' }],
};

function stack(services: Record<string, StackService>): Stack {
  return {
    project: 'demo',
    services,
    networks: { app: { internal: false, subnet: '10.213.0.0/26' } },
    volumes: { data: { component: 'postgres' } },
  };
}

t.test('an environment value arrives byte for byte behind YAML and compose', async (t) => {
  const file = parse(composeText(stack({ web }), new Map([['web', 'abc']])));
  const unescaped = (text: string) => text.replaceAll('$$', '$');
  t.equal(unescaped(file.services.web.environment.TEXT), HOSTILE);
  t.equal(file.services.web.environment.YES, 'no', 'text stays text');
  const secrets = parse(composeSecretsText({ web: { DATABASE_URL: new Secret(HOSTILE) } }));
  t.equal(unescaped(secrets.services.web.environment.DATABASE_URL), HOSTILE);
});

t.test('a character that YAML refuses or folds is written by its number', async (t) => {
  const awkward = ' \u007f \u0080\u0085\u009f \u2028 \u2029 \ufeff\ufffe\uffff ';
  const text = composeSecretsText({ web: { ODD: new Secret(awkward) } });
  t.match(text, /^[\n\x20-\x7e]+$/);
  t.equal(parse(text).services.web.environment.ODD, awkward);
});

t.test('every service gets what all share', async (t) => {
  const { web: made } = parse(composeText(stack({ web }), new Map([['web', 'abc']]))).services;
  t.match(made, {
    restart: 'unless-stopped',
    read_only: true,
    pids_limit: 256,
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges:true'],
    logging: { options: { 'max-size': '10m', 'max-file': '3' } },
    labels: { 'io.holdfast.project': 'demo', 'io.holdfast.spec': 'abc' },
    volumes: [{ type: 'bind', source: '/secrets/web/KEY', read_only: true }],
  });
});

t.test('the order of keys changes neither the file nor the spec', async (t) => {
  const reversed = Object.fromEntries(Object.entries(web).reverse()) as unknown as StackService;
  t.equal(specDigest(web, undefined), specDigest(reversed, undefined));
  t.equal(
    composeText(stack({ a: web, b: web }), new Map()),
    composeText(stack({ b: web, a: web }), new Map()),
  );
});

t.test('the spec tells what a container is made from, not how many there are', async (t) => {
  const digest = specDigest(web, {});
  t.equal(specDigest({ ...web, scale: 5 }, {}), digest);
  t.equal(specDigest({ ...web, networks: { app: null, more: null } }, {}), digest);
  t.not(specDigest({ ...web, image: 'demo:2' }, {}), digest);
  t.not(specDigest(web, { KEY: new Secret('a') }), digest);
  t.not(specDigest(web, { KEY: new Secret('b') }), specDigest(web, { KEY: new Secret('a') }));
});

t.test('subnets stay where they are when others come and go', async (t) => {
  const first = allocateSubnets(['b', 'a'], {});
  t.strictSame(first, { a: '10.213.0.0/26', b: '10.213.0.64/26' });
  t.strictSame(allocateSubnets(['b', 'aa'], first), { aa: '10.213.0.128/26', b: '10.213.0.64/26' });
  const networks = [
    { name: 'demo_a', subnet: '10.213.0.0/26' },
    { name: 'other_b', subnet: '10.213.0.64/26' },
  ];
  t.strictSame(subnetsInUse('demo', networks), { a: '10.213.0.0/26' });
  const many = allocateSubnets(
    Array.from({ length: 600 }, (_, index) => `n${index}`),
    {},
  );
  t.equal(new Set(Object.values(many)).size, 600);
});

t.test('more networks than there is room for are a fault of the config', async (t) => {
  const names = Array.from({ length: 1025 }, (_, index) => `n${index}`);
  t.throws(() => allocateSubnets(names, {}), {
    code: 'config/too-many-networks',
    what: 'The config needs 1025 networks, and there is room for 1024',
  });
});

t.test('escapes: one inert value, or a refusal', async (t) => {
  const cases: [TemplateFormat, unknown, string][] = [
    ['yaml', HOSTILE, JSON.stringify(HOSTILE)],
    ['nginx', 'a"b\\c;}', '"a\\"b\\\\c;}"'],
    ['redis', 'a"b\\c', '"a\\"b\\\\c"'],
    ['systemd', '50%', '50%%'],
    ['sql', "it's", "'it''s'"],
    ['ini', 'plain text', 'plain text'],
  ];
  for (const [format, value, expected] of cases)
    t.equal(escapeFor(format)(value), expected, format);
  t.throws(() => escapeFor('nginx')('$host'), /dollar/);
  for (const format of ['nginx', 'ini', 'redis', 'systemd', 'plain'] as const) {
    t.throws(() => escapeFor(format)('a\nb'), /line break/, format);
  }
  t.throws(() => escapeFor('yaml')(undefined), /undefined/);
  t.throws(() => escapeFor('ini')({}), /no scalar/);
});

t.test('templates and fragments', async (t) => {
  const assets = new Map([
    [
      'compose/a.yaml.ejs',
      'services: { a: <%= it.service %> }\nnetworks: { net: { internal: true } }\nvolumes: { v: null }\n',
    ],
    ['compose/b.yaml.ejs', 'networks: { net: { internal: false } }\n'],
    ['bad.ejs', 'line\n<%= it.nothing %>\n'],
  ]);
  const built = buildStack(
    'demo',
    [{ component: 'a', template: 'a.yaml.ejs', data: { service: web } }],
    { net: '10.213.9.0/26' },
    assets,
  );
  t.equal(built.services['a']?.environment?.['TEXT'], HOSTILE);
  t.equal(built.services['a']?.labels?.['io.holdfast.component'], 'a');
  t.strictSame(built.networks, { net: { internal: true, subnet: '10.213.9.0/26' } });
  t.strictSame(built.volumes, { v: { component: 'a' } });
  t.throws(
    () =>
      buildStack(
        'demo',
        [
          { component: 'a', template: 'a.yaml.ejs', data: { service: web } },
          { component: 'b', template: 'b.yaml.ejs', data: {} },
        ],
        {},
        assets,
      ),
    /disagree/,
  );
  t.throws(() => renderTemplate(assets, 'bad.ejs', {}, 'plain'), /bad\.ejs:2/);
  t.throws(() => renderTemplate(assets, 'none.ejs', {}, 'plain'), /no template/);
  t.throws(() => mergeRecords([{ a: 1 }, { a: 2 }]), /claim a/);
});
