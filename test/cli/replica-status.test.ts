import t from 'tap';
import { scalingText, watchedProblems, watchedStatus } from '../../installer/cli/replica-status.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import type { ReplicasResult } from '../../installer/model/replicas-result.ts';
import { MemoryHost } from '../support/memory-host.ts';

const PATHS = pathsUnder();

const RESULT: ReplicasResult = {
  version: 1,
  services: [
    {
      service: 'web',
      restarts: 3,
      takenOut: 2,
      replicas: [
        {
          id: 'a',
          container: 'p-web-1',
          healthy: true,
          since: '2026-05-01T00:00:00.000Z',
          why: '',
          serving: true,
        },
        {
          id: 'b',
          container: 'p-web-2',
          healthy: false,
          since: '2026-05-01T01:00:00.000Z',
          why: '/health answers 500',
          serving: false,
          deepWhy: '/deep answers 503',
        },
      ],
    },
    {
      service: 'api',
      restarts: 0,
      takenOut: 0,
      replicas: [
        {
          id: 'c',
          container: 'p-api-1',
          healthy: false,
          since: '2026-05-01T01:00:00.000Z',
          why: 'it is exited',
          serving: true,
        },
      ],
      scaling: {
        min: 1,
        max: 4,
        cpuPercent: 91.4,
        atMaximum: false,
        blocked: '10 MiB of memory are available',
        changesUp: 1,
        changesDown: 0,
        last: {
          at: '2026-05-01T01:00:00.000Z',
          from: 1,
          to: 2,
          reason: 'CPU 90 % for 60 s',
          ok: false,
        },
      },
    },
  ],
};

async function seen(result: ReplicasResult | undefined) {
  const host = new MemoryHost();
  if (result !== undefined) {
    await host.write(`${PATHS.agent}/replicas.json`, JSON.stringify(result), {
      mode: 0o600,
      uid: 0,
      gid: 0,
    });
  }
  return watchedStatus(host, PATHS);
}

t.test('before the agent has looked there is nothing', async (t) => {
  t.equal((await seen(undefined)).size, 0);
});

t.test('each sick replica is told by name, with its reason and what nginx does', async (t) => {
  const all = await seen(RESULT);
  const problems = [...all].flatMap(([service, status]) => watchedProblems(service, status));
  t.strictSame(problems, [
    'p-web-2 of web is sick: /health answers 500',
    'p-web-2 of web is not well below: /deep answers 503',
    'p-api-1 of api is sick: it is exited; as the last one it still gets requests',
    'api gets no more replicas: 10 MiB of memory are available',
    'api could not go to 2 replicas: holdfast agent status',
  ]);
  t.equal(all.get('web')?.restarts, 3);
});

t.test('the range, the load and the last change fit on a line', async (t) => {
  const scaling = (await seen(RESULT)).get('api')?.scaling;
  t.equal(
    scaling && scalingText(scaling, () => '5 min ago'),
    '1 to 4 replicas, CPU 91 %, 1 → 2 5 min ago: CPU 90 % for 60 s',
  );
});
