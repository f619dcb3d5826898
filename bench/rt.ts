import { RtLab } from '../test/integration/support/rt-lab.ts';
import { bestOf, type Figure } from './figure.ts';

/** The logistics platform of `examples/rt`: seventeen back ends and nine fronts on one server. */
export async function benchRt(): Promise<Figure[]> {
  const start = performance.now();
  const lab = await RtLab.start();
  try {
    const first = (performance.now() - start) / 1000;
    const plan = await bestOf(5, () => lab.run('plan'));
    const apply = await bestOf(5, () => lab.run('apply', '--yes'));
    const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(2)} s`;
    return [
      { what: 'images of the stand-ins and the first apply', value: `${first.toFixed(0)} s` },
      { what: 'containers', value: String((await lab.containers()).length) },
      { what: 'plan with nothing to do, best of 5', value: seconds(plan), goal: '≤ 1.5 s' },
      { what: 'apply with nothing to do, best of 5', value: seconds(apply), goal: '≤ 3 s' },
      {
        what: 'memory of nginx with its firewall of requests',
        value: `${Math.round((await lab.nginxMemory()) / 1024 ** 2)} MiB`,
        goal: '≤ 60 MiB',
      },
    ];
  } finally {
    await lab.remove();
  }
}
