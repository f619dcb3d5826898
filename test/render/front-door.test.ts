import t from 'tap';
import type { HttpCheck, Route } from '../../installer/model/contribution.ts';
import { frontDoorChecks } from '../../installer/render/front-door.ts';

const ROUTE: Route = {
  host: 'a.example.com',
  path: '/',
  service: 'web',
  port: 3000,
  strip: false,
  websocket: false,
  rawBody: false,
  allowFrom: [],
};
const CHECK: HttpCheck = {
  service: 'web',
  port: 3000,
  path: '/health',
  expect: 'ok',
  intervalSeconds: 10,
  timeoutSeconds: 5,
  healthy: 2,
  unhealthy: 3,
};

t.test('the health path is asked where a client could ask for it', async (t) => {
  const cases: [string, Partial<Route>, Partial<HttpCheck>, string | undefined][] = [
    ['the whole host', {}, {}, '/health'],
    ['a path of the service', { path: '/api/' }, { path: '/api/health' }, '/api/health'],
    ['a prefix that is stripped', { path: '/api/', strip: true }, {}, '/api/health'],
    ['a route that does not lead there', { path: '/api/' }, {}, undefined],
    ['a route for some addresses', { allowFrom: ['192.0.2.0/24'] }, {}, undefined],
    ['a route that asks for a password', { asksPassword: true }, {}, undefined],
    ['a closed path', {}, { path: '/metrics' }, undefined],
    ['below a closed path', {}, { path: '/internal/health' }, undefined],
    ['a name that begins like a closed path', {}, { path: '/internals' }, '/internals'],
  ];
  for (const [name, route, check, path] of cases) {
    const checks = frontDoorChecks(
      [{ ...ROUTE, ...route }],
      [{ ...CHECK, ...check }],
      ['/internal/', '/metrics'],
    );
    t.strictSame(
      checks,
      path === undefined ? [] : [{ service: 'web', host: 'a.example.com', path, expect: 'ok' }],
      name,
    );
  }
  const longer: Route = { ...ROUTE, path: '/health', service: 'other' };
  t.strictSame(
    frontDoorChecks([ROUTE, longer], [CHECK], []),
    [],
    'a longer route takes the path away',
  );
});
