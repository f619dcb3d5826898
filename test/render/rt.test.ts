import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import type { BackupSettings } from '../../installer/model/backup-settings.ts';
import { PACKAGE_ROOT } from '../support/component-input.ts';
import { renderConfig } from '../support/golden.ts';
import { fileText } from '../support/rendered.ts';

const TEXT = readFileSync(join(PACKAGE_ROOT, 'test/config/fixtures/rt.yaml'), 'utf8');
const written = parse(TEXT) as {
  services: Record<
    string,
    { port: number; profile: string; uses?: string[]; routes: { host: string; path: string }[] }
  >;
  sites: Record<string, { hosts: string[] }>;
};
const desired = renderConfig(TEXT, { memoryBytes: 32 * 1024 ** 3 });
const { stack } = desired;
const hostText = (host: string): string => fileText(desired, `nginx/hosts/${host}.conf`);

/** The lines of the location of a host that takes just this prefix. */
function locationOf(host: string, path: string): string {
  const text = hostText(host);
  const start = text.indexOf(`    location "${path}" {`);
  return start < 0 ? '' : text.slice(start, text.indexOf('\n    }', start));
}

t.test('each of the 24 services of RT has its routes and nothing else takes them', async (t) => {
  const services = Object.entries(written.services);
  t.equal(services.length, 24);
  for (const [name, { routes }] of services) {
    for (const { host, path } of routes) {
      t.match(locationOf(host, path), `set $service "${name}";`, `${host}${path} leads to ${name}`);
    }
  }
  const api = [...hostText('api.rt-technologie.com').matchAll(/^ {4}location "(\/[^"]+\/)" \{$/gm)];
  t.equal(api.length, 17, 'the API host has its 17 prefixes');
  t.match(
    hostText('api.rt-technologie.com'),
    /location = "\/api\/orders" \{/,
    'and each without its slash',
  );
});

t.test('the nine fronts have hosts of their own: seven services and two sites', async (t) => {
  const fronts = Object.values(written.services).filter(({ profile }) => profile === 'web');
  const sites = Object.values(written.sites).flatMap(({ hosts }) => hosts);
  t.equal(fronts.length + sites.length, 9);
  for (const host of sites) {
    t.match(hostText(host), `include "/etc/nginx/holdfast/sites/${host}.conf"`);
    t.match(fileText(desired, `nginx/sites/${host}.conf`), /current\/index\.html/);
  }
});

t.test('every back end reaches every other by name, the fronts are told of none', async (t) => {
  const shared = (a: string, b: string): boolean => {
    const other = Object.keys(stack.services[b]?.networks ?? {});
    return Object.keys(stack.services[a]?.networks ?? {}).some((name) => other.includes(name));
  };
  const names = (profile: string) =>
    Object.entries(written.services).flatMap(([name, service]) =>
      service.profile === profile ? [name] : [],
    );
  const [first = '', ...others] = names('backend');
  for (const other of others) {
    t.ok(shared(first, other), `${first} reaches ${other}`);
    const variable = `${other.toUpperCase().replaceAll('-', '_')}_URL`;
    t.equal(
      stack.services[first]?.environment?.[variable],
      `http://${other}:${written.services[other]?.port}`,
    );
  }
  for (const front of names('web')) {
    const variables = Object.keys(stack.services[front]?.environment ?? {});
    t.notOk(variables.includes('AUTHZ_URL'), `${front} is told of none`);
  }
});

t.test(
  'the document database is reached by the services that use it and has no way out',
  async (t) => {
    const networks = Object.keys(stack.services['mongodb']?.networks ?? {});
    const users = Object.entries(written.services).filter(([, { uses }]) =>
      uses?.includes('mongodb'),
    );
    t.strictSame(networks.sort(), users.map(([name]) => `data-${name}`).sort());
    for (const network of networks) t.equal(stack.networks[network]?.internal, true, network);
    t.equal(stack.services['mongodb']?.mem_limit, 1024 ** 3);
    const { jobs } = JSON.parse(fileText(desired, 'agent/backup.json')) as BackupSettings;
    const saved = jobs.filter(({ source }) => source.kind === 'accessory');
    t.strictSame(
      saved.map(({ name }) => name),
      ['mongo-6h', 'mongo-monthly'],
    );
    t.match(
      jobs.find(({ name }) => name === 'copy'),
      { source: { kind: 'backup', name: 'mongo-6h' }, store: 'copy', cron: '30 */6 * * *' },
    );
    t.match(saved[0]?.source, { dump: ['mongodump', '--archive', '--oplog'] });
  },
);

t.test('uploads end at 10 MB, figures are closed on every host', async (t) => {
  t.match(fileText(desired, 'nginx/nginx.conf'), /client_max_body_size "?10485760"?;/);
  for (const { routes } of Object.values(written.services)) {
    for (const { host } of routes) t.match(hostText(host), '(?i:/metrics)', host);
  }
});
