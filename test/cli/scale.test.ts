import t from 'tap';
import { refuseOtherChanges, refuseOutOfRange } from '../../installer/cli/scale.ts';
import type { Operation, ServiceChange } from '../../installer/model/operation.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { configFrom } from '../support/component-render.ts';

const PATHS = pathsUnder();

const { web, fixed } = configFrom(`
domain: app.example.com
services:
  web: { image: "a:1", port: 3000, replicas: { min: 2, max: 5 } }
  fixed: { image: "a:1", port: 3001, replicas: 3 }
`).services;

t.test('only a number within the range of the config', async (t) => {
  if (web === undefined || fixed === undefined) throw new Error('no services');
  for (const wanted of [2, 3, 5]) refuseOutOfRange(web, wanted);
  refuseOutOfRange(fixed, 3);
  for (const wanted of [0, 1, 6, 2.5, Number.NaN]) {
    t.throws(() => refuseOutOfRange(web, wanted), {
      code: 'usage/replicas-out-of-range',
      why: 'the config says that it has 2 to 5',
    });
  }
  t.throws(() => refuseOutOfRange(fixed, 4), {
    code: 'usage/replicas-out-of-range',
    why: 'the config says that it has 3',
  });
});

function write(path: string): Operation {
  return {
    kind: 'write-file',
    id: `write-file:${path}`,
    path,
    cause: 'changed',
    impact: 'none',
    diff: '',
    secret: false,
  };
}

function up(...services: ServiceChange[]): Operation {
  return { kind: 'compose-up', id: 'compose-up:0', services, cause: '', impact: 'none' };
}

const SCALED: ServiceChange = { service: 'web', change: 'scale', cause: '2 of 3 replicas' };

t.test('nothing else is carried along', async (t) => {
  const refused = (...operations: Operation[]) =>
    refuseOtherChanges({ project: 'p', operations, notices: [], drift: [] }, 'web', PATHS);
  refused();
  refused(write(PATHS.lock), write(`${PATHS.stack}/compose.yaml`), up(SCALED));
  const left = { ...SCALED, change: 'start', cause: 'a replica was not put into service' } as const;
  refused(write(PATHS.lock), up(left));
  const others = [
    up({ ...left, service: 'api' }),
    write(`${PATHS.stack}/nginx/nginx.conf`),
    up(SCALED, { service: 'api', change: 'scale', cause: '' }),
    up({ service: 'web', change: 'recreate', cause: 'its image changed' }),
    { kind: 'reload', id: 'reload:nginx', service: 'nginx', cause: '', impact: 'reload' } as const,
  ];
  for (const other of others) {
    t.throws(() => refused(write(PATHS.lock), other), {
      code: 'config/not-applied',
      why: other.id,
      hint: 'holdfast apply',
    });
  }
});
