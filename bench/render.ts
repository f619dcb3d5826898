import { renderConfig } from '../test/support/golden.ts';
import { bestOf, type Figure } from './figure.ts';

function configOf(count: number): string {
  const services = Array.from(
    { length: count },
    (_, index) =>
      `  s${index}: { image: "registry.example.com/s${index}:1.${index}", port: 3000, resources: { memory: 8m }, health: { path: /health }, uses: [redis], routes: [{ host: s${index}.example.com, path: / }] }`,
  );
  return [
    'version: 1',
    'domain: app.example.com',
    'contact: ops@example.com',
    'services:',
    ...services,
  ].join('\n');
}

/** From the text of a config to everything that a server shall have. */
export async function benchRender(): Promise<Figure[]> {
  const times = new Map<number, number>();
  for (const count of [50, 100, 200, 400]) {
    const text = configOf(count);
    times.set(count, await bestOf(5, () => renderConfig(text)));
  }
  const at = (count: number): number => times.get(count) ?? Number.NaN;
  return [
    ...[...times].map(([count, milliseconds]) => ({
      what: `load and render a config of ${count} services`,
      value: `${Math.round(milliseconds)} ms`,
      ...(count === 200 ? { goal: '≤ 300 ms' } : {}),
    })),
    {
      what: 'growth from 100 to 400 services, 4 is linear',
      value: (at(400) / at(100)).toFixed(1),
      goal: 'linear',
    },
  ];
}
