import { readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DockerEngine } from '../installer/engine/docker.ts';
import { LABELS } from '../installer/model/labels.ts';
import { Appliance } from '../test/support/appliance.ts';
import { PACKAGE_ROOT } from '../test/support/component-input.ts';
import { bestOf, type Figure } from './figure.ts';

const CONFIG = `version: 1
project: bench
domain: localhost
contact: ops@example.com
tls: { issuer: selfsigned }
services:
  web:
    build: { context: ./app }
    port: 3000
    health: { path: /health, expect: '"status":"ok"' }
    migrate: node src/migrate.cjs
    routes: [{ host: localhost, path: / }]
    uses: [postgres, redis]
`;
const IDLE_SECONDS = 30;

/** A whole appliance on this machine: what doing nothing costs, and what it weighs. */
export async function benchAppliance(): Promise<Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  const config = join(folder, 'config.yaml');
  await writeFile(config, CONFIG);
  await cp(join(PACKAGE_ROOT, 'examples/demo'), join(folder, 'app'), { recursive: true });
  const appliance = await Appliance.create(config);
  const engine = new DockerEngine();
  try {
    const first = await appliance.run(['apply', '--yes', '--config', config]);
    if (first.exitCode !== 0) throw new Error(first.stderr);
    const started = await restarts(engine);
    const plan = await bestOf(5, () => appliance.run(['plan', '--config', config]));
    const apply = await bestOf(5, () => appliance.run(['apply', '--yes', '--config', config]));
    const unchanged = (await restarts(engine)) === started;
    const agent = await agentProcess(appliance);
    const cpuBefore = cpuSeconds(agent);
    // The window over which idling is measured.
    await pause(IDLE_SECONDS * 1000);
    const cpuShare = (cpuSeconds(agent) - cpuBefore) / IDLE_SECONDS;
    const memory = await stackMemory(engine);
    const agentMemory = residentBytes(agent);
    const mib = (bytes: number) => `${Math.round(bytes / 1024 ** 2)} MiB`;
    return [
      {
        what: 'plan with nothing to do, best of 5',
        value: `${Math.round(plan)} ms`,
        goal: '≤ 1 s',
      },
      {
        what: 'apply with nothing to do, best of 5',
        value: `${Math.round(apply)} ms`,
        goal: '≤ 2 s',
      },
      { what: 'containers untouched by them', value: unchanged ? 'all' : 'NOT ALL', goal: 'all' },
      {
        what: 'platform without the app, idle, agent included',
        value: mib(memory + agentMemory),
        goal: '≤ 250 MiB',
      },
      { what: 'agent, idle, resident', value: mib(agentMemory), goal: '≤ 48 MiB' },
      {
        what: `agent, idle over ${IDLE_SECONDS} s, share of a core`,
        value: `${(cpuShare * 100).toFixed(2)} %`,
        goal: '≤ 0.2 %',
      },
    ];
  } finally {
    await engine.close();
    await appliance.remove();
    await rm(folder, { recursive: true, force: true });
  }
}

async function restarts(engine: DockerEngine): Promise<string> {
  const containers = await engine.containers({ [LABELS.project]: 'bench' });
  return containers.map(({ id, startedAt }) => `${id} ${startedAt}`).join('\n');
}

async function stackMemory(engine: DockerEngine): Promise<number> {
  const containers = await engine.containers({ [LABELS.project]: 'bench' });
  const platform = containers.filter(({ service }) => service !== 'web');
  const uses = await Promise.all(platform.map(({ id }) => engine.stats(id)));
  return uses.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
}

export async function agentProcess(appliance: Appliance): Promise<number> {
  const { stdout } = await appliance.run(['agent', 'status', '--json']);
  const found = /"pid":(\d+)/.exec(stdout)?.[1];
  if (found === undefined) throw new Error(`the agent does not say its process: ${stdout}`);
  return Number(found);
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

/** User and system time so far, with that of its children that have ended where asked; a tick is 1/100 s on Linux. */
export function cpuSeconds(pid: number, children?: 'with children'): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const times = fields.slice(11, children === undefined ? 13 : 15);
  return times.reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}
