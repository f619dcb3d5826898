import { Load, MIXED } from '../test/support/load.ts';
import { EdgeServer } from './edge-server.ts';
import type { Figure } from './figure.ts';
import { SwitchTimes } from './switch-times.ts';

/** Requests at least; 500,000 for the figure of the issue, which takes ten minutes on two cores, and most of an hour on busy ones. */
const REQUESTS = Number(process.env['HOLDFAST_BENCH_REQUESTS'] ?? 20_000);
const RELEASES = ['1', '2', '3'];

/** What happens to a server while its clients go on, all of it again and again until there were enough requests. */
export async function benchEdge(): Promise<Figure[]> {
  const server = await EdgeServer.start(RELEASES);
  try {
    const load = new Load(await server.target(), {
      ...MIXED,
      gets: [...MIXED.gets, '/b', '/c', '/d', '/e'],
    });
    const switches = new SwitchTimes(load);
    const done = new Map<string, { times: number; codes: Set<number> }>();
    try {
      for (let round = 1; load.requests < REQUESTS; round += 1) {
        for (const [what, step] of Object.entries(stepsOf(server, switches, round))) {
          load.phase = what;
          const closed = load.closedSockets.length;
          await step();
          const { times, codes } = done.get(what) ?? { times: 0, codes: new Set() };
          for (const code of load.closedSockets.slice(closed)) codes.add(code);
          done.set(what, { times: times + 1, codes });
        }
        tell(load, round);
      }
    } finally {
      await load.stop();
    }
    return figuresOf(load, done, switches);
  } finally {
    await server.remove();
  }
}

/** Of a run of most of an hour one wants to see that it goes on. */
function tell(load: Load, round: number): void {
  console.error(`round ${round}: ${load.requests} requests, ${failuresOf(load)} failed`);
  for (const [cause, count] of load.failures) console.error(`  ${count} × ${cause}`);
}

function failuresOf(load: Load): number {
  return [...load.failures.values()].reduce((sum, count) => sum + count, 0);
}

function figuresOf(
  load: Load,
  done: ReadonlyMap<string, { readonly times: number; readonly codes: ReadonlySet<number> }>,
  switches: SwitchTimes,
): Figure[] {
  const times = switches.seconds.toSorted((a, b) => a - b);
  const seconds = (value: number | undefined) => `${(value ?? Number.NaN).toFixed(2)} s`;
  return [
    { what: 'requests', value: String(load.requests) },
    ...[...done].map(([what, { times, codes }]) => ({
      what: `${what}: times, codes of closed WebSockets`,
      value: `${times}, ${[...codes].join(' ') || 'none'}`,
    })),
    { what: 'requests that failed', value: String(failuresOf(load)), goal: '0' },
    ...[...load.failures].map(([cause, count]) => ({ what: cause, value: String(count) })),
    {
      what: `from healthy to the first answer, median of ${times.length}`,
      value: seconds(times[Math.floor(times.length / 2)]),
      goal: '≤ 2 s',
    },
    { what: 'the slowest of them', value: seconds(times.at(-1)), goal: '≤ 2 s' },
    { what: 'WebSockets that were closed', value: String(load.closedSockets.length) },
  ];
}

function stepsOf(
  server: EdgeServer,
  switches: SwitchTimes,
  round: number,
): Readonly<Record<string, () => Promise<unknown>>> {
  // Another one than the way back has led to.
  const other = round % 2 === 1 ? '3' : '1';
  const before = round % 2 === 1 ? '1' : '3';
  const maxBody = 10 + (round % 2);
  return {
    'deploy of a release': () =>
      switches.of('2', () => server.holdfast('deploy', 'app', server.image('2'))),
    rollback: () => switches.of(before, () => server.holdfast('rollback', 'app')),
    'deploy of another release': () =>
      switches.of(other, () => server.holdfast('deploy', 'app', server.image(other))),
    'a replica more': () => server.holdfast('scale', 'app', '3'),
    'edit of the edge, applied': async () => {
      await server.configure({ greeting: 'hello', maxBody });
      await server.holdfast('apply');
    },
    'edit of the service, applied': async () => {
      await server.configure({ greeting: `hello ${round}`, maxBody });
      await server.holdfast('apply');
    },
    'a replica less': () => server.holdfast('scale', 'app', '2'),
    'renewal of the certificate': async () => {
      await server.forgetCertificate();
      await server.holdfast('apply');
    },
    'another image of nginx, applied': async () => {
      const nginx = await server.nginx();
      await server.updateNginxImage(`round-${round}`);
      await server.holdfast('apply');
      if ((await server.nginx()) === nginx) throw new Error('nginx was not replaced');
    },
    'apply with nothing to do': () => server.holdfast('apply'),
  };
}
