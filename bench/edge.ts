import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DeployLab } from '../test/integration/support/deploy-lab.ts';
import { Load, MIXED } from '../test/support/load.ts';
import type { Figure } from './figure.ts';

/** Requests at least; 500,000 for the figure of the issue, which takes most of an hour on two cores. */
const REQUESTS = Number(process.env['HOLDFAST_BENCH_REQUESTS'] ?? 20_000);

/** What happens to a server while its clients go on, again and again until there were enough requests. */
export async function benchEdge(): Promise<Figure[]> {
  const lab = await DeployLab.start({ 1: 'good', 2: 'good', 3: 'good' }, 1);
  try {
    const load = new Load(await lab.target(), {
      ...MIXED,
      gets: [...MIXED.gets, '/b', '/c', '/d', '/e'],
    });
    const done = new Map<string, number>();
    try {
      for (let round = 1; load.requests < REQUESTS; round += 1) {
        for (const [what, step] of Object.entries(stepsOf(lab, round))) {
          load.phase = what;
          await step();
          done.set(what, (done.get(what) ?? 0) + 1);
          if (load.requests >= REQUESTS) break;
        }
      }
    } finally {
      await load.stop();
    }
    const failed = [...load.failures.values()].reduce((sum, count) => sum + count, 0);
    return [
      { what: 'requests', value: String(load.requests) },
      ...[...done].map(([what, count]) => ({ what: `${what}, times`, value: String(count) })),
      { what: 'requests that failed', value: String(failed), goal: '0' },
      ...[...load.failures].map(([cause, count]) => ({ what: cause, value: String(count) })),
      {
        what: 'WebSockets that were closed, and how',
        value: `${load.closedSockets.length}, ${[...new Set(load.closedSockets)].join(' ')}`,
        goal: '1001',
      },
    ];
  } finally {
    await lab.remove();
  }
}

function stepsOf(lab: DeployLab, round: number): Readonly<Record<string, () => Promise<void>>> {
  const run = async (...argv: string[]): Promise<void> => {
    const { exitCode, stderr } = await lab.run(...argv);
    if (exitCode !== 0) throw new Error(`${argv.join(' ')} exited ${exitCode}: ${stderr}`);
  };
  return {
    'deploy of a release': () => run('deploy', 'app', lab.image('2')),
    rollback: () => run('rollback', 'app'),
    // Another one than the way back has led to.
    'deploy of another release': () => run('deploy', 'app', lab.image(round % 2 === 1 ? '3' : '1')),
    'a replica more': () => run('scale', 'app', '3'),
    'edit of the edge, applied': async () => {
      await lab.configure({ greeting: 'hello', maxBody: 10 + (round % 2) });
      await run('apply');
    },
    'edit of the service, applied': async () => {
      await lab.configure({ greeting: `hello ${round}`, maxBody: 10 + (round % 2) });
      await run('apply');
    },
    'a replica less': () => run('scale', 'app', '2'),
    'renewal of the certificate': async () => {
      await forgetCertificate(lab);
      await run('apply');
    },
    'apply with nothing to do': () => run('apply'),
  };
}

/** Takes the certificate away, so that the next apply makes another one and gives it to nginx. */
async function forgetCertificate({ appliance }: DeployLab): Promise<void> {
  await rm(join(appliance.paths.tls, 'private-ca/hosts'), { recursive: true });
}
