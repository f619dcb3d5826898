import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { readEdgeState } from '../../installer/engine/edge-state.ts';
import { LocalHost } from '../../installer/host/local.ts';
import type { WatchedService } from '../../installer/model/agent-settings.ts';
import type { ReplicaState } from '../../installer/model/edge-state.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import type { ReplicasResult } from '../../installer/model/replicas-result.ts';
import { watchedService } from '../agent/replica-world.ts';
import { applySettings, linesOf, serverWith } from '../agent/support.ts';
import { addressOf, docker, waitFor } from '../support/containers.ts';
import { routeTo, TestEdge } from '../support/edge.ts';

/** The resident agent beside nginx and real replicas on a real engine. */

/** Of each client between an answer and its next request: the processors are for the agent and nginx. */
const THINKS_MILLISECONDS = 10;
const PROJECT = `replicas-${process.pid}`;
const RESIDENT = new URL('../agent/resident.ts', import.meta.url).pathname;

/**
 * A replica that does as it is told: `/be/hanging`, `/be/failing`, `/be/wrong`, `/be/busy`, `/be/waving`, `/be/well`.
 * A wave is a third busy and two thirds quiet, by the clock that all replicas share: a slow machine keeps its shape.
 */
const PROGRAM = `
let mood = 'well';
const works = () => mood === 'busy' || (mood === 'waving' && Date.now() % 12000 < 4000);
const burn = () => {
  if (mood !== 'busy' && mood !== 'waving') return;
  const end = Date.now() + 40;
  while (works() && Date.now() < end);
  setTimeout(burn, works() ? 5 : 50);
};
require('node:http').createServer((request, response) => {
  if (request.url.startsWith('/be/')) { mood = request.url.slice(4); burn(); return response.end(mood); }
  if (mood === 'hanging') return;
  response.statusCode = mood === 'failing' ? 500 : 200;
  response.end(mood === 'wrong' && request.url === '/health' ? 'starting' : 'ready ' + process.argv[4]);
}).listen(Number(process.argv[3]));
process.on('SIGTERM', () => process.exit());
`;

const CONFIG = `
project: ${PROJECT}
domain: app.example.com
services:
  web: { image: "a:1", port: 3000, replicas: { min: 3, max: 5 } }
  lone: { image: "a:1", port: 3000, routes: [{ path: /lone/ }] }
`;

const edge = await TestEdge.start(
  CONFIG,
  [routeTo('web', 3000, {}), routeTo('lone', 3000, { path: '/lone/' })],
  {},
  {
    program: PROGRAM,
    options: (service) => [
      ...['--label', `io.holdfast.project=${PROJECT}`],
      ...['--label', `com.docker.compose.service=${service}`],
    ],
  },
);
t.teardown(() => edge.stop());
const { folder } = edge;

const CHECK = { kind: 'http', port: 3000, path: '/health', expect: 'ready' } as const;
const QUICK = { intervalSeconds: 0.5, timeoutSeconds: 2, memoryBytes: 32 * 1024 ** 2 };
const WEB: WatchedService = watchedService({ name: 'web', check: CHECK, ...QUICK });
/** Nobody listens on the port that it names. */
const LONE: WatchedService = watchedService({
  name: 'lone',
  check: { kind: 'port', port: 9 },
  ...QUICK,
});

const paths = serverWith(folder, { project: PROJECT, services: [WEB, LONE] });
writeFileSync(`${folder}/program.sh`, '#!/bin/sh\necho "$*" >> "$FOLDER/calls"\n');
// A machine with room, whatever else runs on the one of the test.
writeFileSync(`${folder}/meminfo`, 'MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n');
writeFileSync(`${folder}/stat`, '');

const agents: ChildProcess[] = [];
t.teardown(() => {
  for (const agent of agents) agent.kill('SIGKILL');
});

function startAgent(): ChildProcess {
  const words = [RESIDENT, folder, '/var/run/docker.sock', folder];
  const agent = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] });
  agents.push(agent);
  return agent;
}

/** What the agent keeps for `holdfast status`. */
function result(): ReplicasResult | undefined {
  const path = `${paths.agent}/replicas.json`;
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

function health(service: string): string {
  const found = result()?.services.find((one) => one.service === service);
  return (found?.replicas ?? []).map(({ healthy }) => (healthy ? '+' : '-')).join('');
}

async function states(service: string): Promise<ReplicaState[]> {
  const { services } = await readEdgeState({ host: new LocalHost(), paths: pathsUnder(folder) });
  return (services[service]?.replicas ?? []).map(({ state }) => state);
}

const hosts = await Promise.all([...edge.replicaIds.values()].map(addressOf));
async function be(index: number, mood: string): Promise<void> {
  await (await fetch(`http://${hosts[index]}:3000/be/${mood}`)).text();
}

/** Clients that never ask twice. A request that takes thirty seconds has failed. */
class Load {
  readonly failures: string[] = [];
  readonly served = new Map<string, number>();
  #since = 0;
  #isOver = false;
  readonly #clients: Promise<void>[];

  constructor(clients: number) {
    this.#clients = Array.from({ length: clients }, () => this.#work());
  }

  /** Only requests that begin from now on count. */
  forget(): void {
    this.#since = performance.now();
    this.failures.length = 0;
    this.served.clear();
  }

  get count(): number {
    return [...this.served.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Whether this replica has answered. */
  reached(number: number): boolean {
    return [...this.served.keys()].some((body) => body.endsWith(`-${number}`));
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#clients);
  }

  async #work(): Promise<void> {
    while (!this.#isOver) {
      const started = performance.now();
      const outcome = await this.#ask();
      if (started < this.#since) continue;
      if (outcome.failure !== undefined) this.failures.push(outcome.failure);
      else this.served.set(outcome.body, (this.served.get(outcome.body) ?? 0) + 1);
      await delay(THINKS_MILLISECONDS);
    }
  }

  async #ask(): Promise<{ readonly body: string; readonly failure?: string }> {
    const end = new AbortController();
    const late = delay(30_000, { body: '', failure: 'no answer' }, { signal: end.signal });
    late.catch(() => undefined);
    const answer = edge.ask('/').then(
      ({ status, body }) => (status === 200 ? { body } : { body, failure: String(status) }),
      (error) => ({ body: '', failure: String(error) }),
    );
    const first = await Promise.race([answer, late]);
    end.abort();
    return first;
  }
}

async function edgeState() {
  return readEdgeState({ host: new LocalHost(), paths: pathsUnder(folder) });
}

/** The agent has written these states, and nginx follows. */
async function untilStates(what: string, wanted: string): Promise<void> {
  await waitFor(what, async () => ((await states('web')).join() === wanted ? true : undefined));
  const { generation } = await edgeState();
  await waitFor('nginx follows', async () =>
    (await edge.status()).generation >= generation ? true : undefined,
  );
}

const first = startAgent();
await waitFor('the first look', async () => (health('web') === '+++' ? true : undefined));

/** All replicas of `web` serve but this one. */
function without(number: number): string {
  return [1, 2, 3].map((one) => (one === number ? 'out' : 'up')).join();
}

// Each time another one: who falls sick again soon has to answer well for longer.
for (const [index, mood] of ['failing', 'hanging', 'wrong'].entries()) {
  await t.test(`a replica that is ${mood} gets no more requests, and comes back`, async (t) => {
    const load = new Load(4);
    await be(index, mood);
    await untilStates('the replica is out', without(index + 1));
    load.forget();
    await waitFor('a hundred requests', async () => (load.count > 100 ? true : undefined));
    t.equal(load.reached(index + 1), false, 'none to the sick one');
    await be(index, 'well');
    await untilStates('it is back', 'up,up,up');
    await waitFor('it answers again', async () => (load.reached(index + 1) ? true : undefined));
    await load.end();
    t.strictSame(load.failures, []);
  });
}

await t.test('a replica that is killed is out at once and back when it runs again', async (t) => {
  const load = new Load(4);
  const id = edge.replicaIds.get(`${PROJECT}-web-1`) ?? '';
  await docker('kill', id);
  await untilStates('the replica is out', without(1));
  load.forget();
  await waitFor('a hundred requests', async () => (load.count > 100 ? true : undefined));
  await docker('start', id);
  hosts[0] = await addressOf(id);
  await untilStates('it is back', 'up,up,up');
  await waitFor('it answers again', async () => (load.reached(1) ? true : undefined));
  await load.end();
  t.strictSame(load.failures, []);
});

await t.test('the last one stays, whatever it answers; so does a lone one', async (t) => {
  for (const index of [0, 1, 2]) await be(index, 'failing');
  await waitFor('all are sick', async () => (health('web') === '---' ? true : undefined));
  // Of three sick ones, another may be left in than a moment ago, but one always is.
  await waitFor('one stays', async () => {
    return (await states('web')).filter((state) => state === 'up').length === 1 ? true : undefined;
  });
  await waitFor('nobody listens on its port', async () =>
    health('lone') === '-' ? true : undefined,
  );
  t.equal((await edge.ask('/lone/')).status, 200, 'and nginx has not been told to leave it');
  for (const index of [0, 1, 2]) await be(index, 'well');
  await untilStates('all are back', 'up,up,up');
});

await t.test('without an agent nginx serves, and the next agent goes on', async (t) => {
  await be(1, 'failing');
  await untilStates('the replica is out', 'up,out,up');
  first.kill('SIGKILL');
  await once(first, 'exit');
  const load = new Load(4);
  await waitFor('a hundred requests', async () => (load.count > 100 ? true : undefined));
  await load.end();
  t.strictSame(load.failures, []);
  t.equal(load.reached(2), false);
  await be(1, 'well');
  t.strictSame(await states('web'), ['up', 'out', 'up'], 'nobody tells nginx');
  startAgent();
  await untilStates('the next agent does', 'up,up,up');
});

await t.test('load asks for more replicas, quiet for fewer, a wave for none', async (t) => {
  await docker('update', '--cpus', '0.1', ...edge.replicaIds.values());
  const scaled: WatchedService = {
    ...WEB,
    cpus: 0.1,
    scaling: {
      ...{ min: 1, max: 5, cooldownSeconds: 2 },
      // On a machine that others use as well, a busy replica gets less than its limit.
      scaleUp: { cpuPercent: 40, forSeconds: 12, step: 2 },
      scaleDown: { cpuPercent: 20, forSeconds: 12, step: 1 },
    },
  };
  const use = (service: WatchedService): void => {
    applySettings(paths, { project: PROJECT, services: [service] });
    agents.at(-1)?.kill('SIGHUP');
  };
  const all = async (mood: string): Promise<void> => {
    for (const index of [0, 1, 2]) await be(index, mood);
  };
  const calls = () => linesOf(`${folder}/calls`);
  const asked = () => waitFor('a scale command', async () => calls()[0]);
  await all('busy');
  use(scaled);
  t.match(await asked(), /^scale web 5 --reason CPU \d+ % for 12 s \(≥ 40 %\)$/);
  const scaling = () => result()?.services[0]?.scaling;
  // It notes what it has done when the command has ended.
  const noted = await waitFor('the note of it', async () => {
    const found = scaling();
    return found?.changesUp === 1 ? found : undefined;
  });
  t.match(noted, { changesUp: 1, last: { from: 3, to: 5 } });

  use(WEB);
  await all('waving');
  await waitFor('nobody measures', async () => (scaling() === undefined ? true : undefined));
  writeFileSync(`${folder}/calls`, '');
  use(scaled);
  for (let wave = 1; wave <= 3; wave += 1) {
    const percent = () => scaling()?.cpuPercent ?? Number.NaN;
    await waitFor('a crest', async () => (percent() >= 40 ? true : undefined));
    await waitFor('a trough', async () => (percent() <= 20 ? true : undefined));
  }
  t.strictSame(calls(), []);
  await all('well');
  t.match(await asked(), /^scale web 2 --reason CPU \d+ % for 12 s \(≤ 20 %\)$/);
});
