import t from 'tap';
import { parse } from 'yaml';
import { nginx } from '../../installer/components/nginx/component.ts';
import { services } from '../../installer/components/services/component.ts';
import { sites } from '../../installer/components/sites/component.ts';
import type { FrontDoorCheck } from '../../installer/model/desired.ts';
import { Secret } from '../../installer/model/secret.ts';
import { componentInput, configFrom, imagesWith, renderWith } from '../support/component-render.ts';

/** What an apply of this config asks at the front door. */
function checksOf(text: string): readonly FrontDoorCheck[] {
  const names = Object.keys(parse(text).services ?? {});
  const image = { reference: 'a:1', version: '1', source: 'registry', action: { kind: 'present' } };
  const images = {
    ...imagesWith(),
    services: Object.fromEntries(names.map((name) => [name, image] as const)),
  } as ReturnType<typeof imagesWith>;
  const secret = () => new Secret('ada:a long password');
  const config = configFrom(`domain: a.example.com\n${text}`);
  return renderWith([services, sites, nginx], componentInput(config, { images, secret })).frontDoor;
}

function asked(text: string): string[] {
  return checksOf(text).map(({ service, host, path }) => `${service ?? 'site'} ${host}${path}`);
}

const service = (name: string, health: string, routes: string, more = ''): string =>
  `${name}: { image: "a:1", port: 3000, health: ${health}, routes: ${routes}${more && `, ${more}`} }`;
const web = (health: string, routes: string, more = ''): string =>
  `services:\n  ${service('web', health, routes, more)}\n`;

t.test('the health path is asked where a client could ask for it', async (t) => {
  const cases: [string, string, string | undefined][] = [
    ['the whole host', web('{ path: /health }', '[{ path: / }]'), '/health'],
    ['a path of the service', web('{ path: /api/health }', '[{ path: /api }]'), '/api/health'],
    ['the route itself', web('{ path: /api }', '[{ path: /api/ }]'), '/api'],
    ['a stripped prefix', web('{ path: /health }', '[{ path: /api, strip: true }]'), '/api/health'],
    ['a route elsewhere', web('{ path: /health }', '[{ path: /api }]'), undefined],
    [
      'a route for some addresses',
      web('{ path: /health }', '[{ path: /, allowFrom: [192.0.2.0/24] }]'),
      undefined,
    ],
    [
      'a route that asks for a password',
      web('{ path: /health }', '[{ path: /, basicAuth: USERS }]'),
      undefined,
    ],
    ['metrics', web('{ path: /metrics }', '[{ path: / }]'), undefined],
    [
      'metrics of its own',
      web('{ path: /status/health }', '[{ path: / }]', 'metrics: { path: /status }'),
      undefined,
    ],
    [
      'a closed path',
      `${web('{ path: /internal/health }', '[{ path: / }]')}http: { denyPaths: [/internal] }\n`,
      undefined,
    ],
    [
      'a closed path in another case',
      `${web('{ path: /Internal/health }', '[{ path: / }]')}http: { denyPaths: [/internal] }\n`,
      undefined,
    ],
    [
      'a name that begins like a closed path',
      `${web('{ path: /internals }', '[{ path: / }]')}http: { denyPaths: [/internal] }\n`,
      '/internals',
    ],
  ];
  for (const [name, text, path] of cases) {
    t.strictSame(asked(text), path === undefined ? [] : [`web a.example.com${path}`], name);
  }
});

t.test('a path that nginx leads to another service is not asked for', async (t) => {
  for (const path of ['/status', '/status/deep']) {
    const text = `${web(`{ path: ${path} }`, '[{ path: / }]')}  ${service('other', '{ path: /status/ }', '[{ path: /status }]')}\n`;
    t.strictSame(asked(text), ['other a.example.com/status/'], path);
  }
});

t.test('it is waited for as long as the check of the service may take', async (t) => {
  const text = web('{ path: /health, timeout: 25s, expect: up }', '[{ path: / }]');
  t.match(checksOf(text), [{ timeoutSeconds: 25, expect: 'up' }]);
});

t.test('a site is asked for its first page, unless that is closed', async (t) => {
  const text = 'sites: { docs: { artifact: ./dist, hosts: [docs.example.com] } }\n';
  t.strictSame(asked(text), ['site docs.example.com/']);
  t.strictSame(asked(`${text}http: { denyPaths: [/] }\n`), []);
});
