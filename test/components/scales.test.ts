import t from 'tap';
import { services } from '../../installer/components/services/component.ts';
import { keptScales, wantedReplicas } from '../../installer/components/services/scales.ts';
import { componentInput, configFrom, imagesWith } from '../support/component-render.ts';

const IMAGE = {
  reference: 'a:1',
  version: '1',
  source: 'registry',
  action: { kind: 'present' },
} as const;

const CONFIG = configFrom(`
domain: app.example.com
services:
  web: { image: "a:1", port: 3000, replicas: { min: 2, max: 5 } }
  fixed: { image: "a:1", port: 3001, replicas: 3 }
`);

t.test('the recorded number counts as far as the config allows it', async (t) => {
  const { web, fixed } = CONFIG.services;
  const wanted = (count: number) => web && wantedReplicas(web, { web: count });
  t.strictSame([1, 2, 4, 5, 9].map(wanted), [2, 2, 4, 5, 5]);
  t.equal(web && wantedReplicas(web, undefined), 2);
  t.equal(fixed && wantedReplicas(fixed, { fixed: 7 }), 3);
});

t.test('only what differs from the config is kept', async (t) => {
  t.strictSame(keptScales(CONFIG, { web: 9, fixed: 7, gone: 4 }), { scales: { web: 5 } });
  t.strictSame(keptScales(CONFIG, { web: 2 }), {});
  t.strictSame(keptScales(CONFIG, undefined), {});
});

t.test('the containers of a service follow it', async (t) => {
  const scaleOf = (scales: Record<string, number>) => {
    const images = { ...imagesWith(), services: { web: IMAGE, fixed: IMAGE } };
    const input = componentInput(CONFIG, { images, scales });
    const data = services.contribute?.(input).fragments?.[0]?.data as {
      services: { name: string; container: { scale: number } }[];
    };
    return data.services.map(({ name, container }) => `${name} ${container.scale}`);
  };
  t.strictSame(scaleOf({}), ['web 2', 'fixed 3']);
  t.strictSame(scaleOf({ web: 4 }), ['web 4', 'fixed 3']);
});
