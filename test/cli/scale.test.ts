import t from 'tap';
import { refuseOutOfRange } from '../../installer/cli/scale.ts';
import { configFrom } from '../support/component-render.ts';

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
