import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { DockerEngine } from '../installer/engine/docker.ts';
import { LABELS } from '../installer/model/labels.ts';
import { startRadosgw } from '../test/integration/support/radosgw.ts';
import { Appliance } from '../test/support/appliance.ts';
import { FaultProxy } from '../test/support/fault-proxy.ts';
import { lookUntil } from '../test/support/look-until.ts';
import { agentProcess, cpuSeconds } from './appliance.ts';
import type { Figure } from './figure.ts';

const run = promisify(execFile);
const MINUTES = Number(process.env['HOLDFAST_BENCH_MINUTES'] ?? '5');
const SECONDS_OF_A_DAY = 86_400;
const PROJECT = 'bench-idle';

/** What point-in-time recovery to a bucket costs a server that nobody writes to: processor time, and requests. */
export async function benchIdlePitr(): Promise<Figure[]> {
  const teardowns: (() => unknown)[] = [];
  const engine = new DockerEngine();
  try {
    const store = await startRadosgw({ teardown: (fn) => teardowns.push(fn) });
    const proxy = await FaultProxy.start(store.endpoint);
    teardowns.push(() => proxy.stop());
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
    teardowns.push(() => rm(folder, { recursive: true, force: true }));
    const identity = join(folder, 'key.txt');
    await run('age-keygen', ['-o', identity]);
    const { stdout: recipient } = await run('age-keygen', ['-y', identity]);
    const config = join(folder, 'config.yaml');
    await mkdir(join(folder, 'site'));
    await writeFile(join(folder, 'site/index.html'), '<p>front</p>');
    await writeFile(config, configText(proxy.endpoint, store.bucket, recipient.trim()));
    const appliance = await Appliance.create(config);
    teardowns.push(() => appliance.remove());
    const { secrets } = appliance.paths;
    await mkdir(secrets, { recursive: true, mode: 0o700 });
    const keys = {
      FAR_ACCESS_KEY_ID: store.accessKeyId,
      FAR_SECRET_ACCESS_KEY: store.secretAccessKey,
    };
    for (const [name, value] of Object.entries(keys)) {
      await writeFile(join(secrets, name), value, { mode: 0o600 });
    }
    const { exitCode, stderr } = await appliance.run(['apply', '--yes', '--config', config]);
    if (exitCode !== 0) throw new Error(stderr);
    await lookUntil(
      600_000,
      async () => (await isProved(appliance)) || undefined,
      () => 'no proved base backup',
    );
    return await measure(engine, appliance, proxy);
  } finally {
    for (const teardown of teardowns.toReversed()) await teardown();
    await engine.close();
  }
}

function configText(endpoint: string, bucket: string, recipient: string): string {
  return `version: 1
project: ${PROJECT}
domain: localhost
contact: ops@example.com
tls: { issuer: selfsigned }
sites: { front: { artifact: ./site, hosts: [localhost] } }
monitoring: { prometheus: { enabled: false }, grafana: { enabled: false } }
postgres: { version: "17", databases: [shop], owner: shop }
storage: { providers: { far: { kind: s3, endpoint: "${endpoint}", secretRef: FAR } } }
backups:
  provider: far
  bucket: ${bucket}
  recipients: [${recipient}]
  jobs:
    - { name: daily, source: postgres, cron: "0 2 * * *" }
`;
}

async function isProved({ paths }: Appliance): Promise<boolean> {
  const text = await readFile(join(paths.agent, 'results/base.json'), 'utf8').catch(() => '{}');
  return text.includes('"verifiedAt"');
}

async function measure(
  engine: DockerEngine,
  appliance: Appliance,
  proxy: FaultProxy,
): Promise<Figure[]> {
  const agent = await agentProcess(appliance);
  const containers = await engine.containers({ [LABELS.project]: PROJECT });
  const receiver = containers.find(({ service }) => service === 'postgres-wal')?.id ?? '';
  const looks = async () => ({
    agent: cpuSeconds(agent, 'with children'),
    receiver: (await engine.stats(receiver)).cpuSeconds,
    requests: proxy.requests,
  });
  const before = await looks();
  const begun = performance.now();
  // The window over which idling is measured.
  await pause(MINUTES * 60_000);
  const after = await looks();
  const seconds = (performance.now() - begun) / 1000;
  const share = (from: number, to: number): number => ((to - from) / seconds) * 100;
  const ours = share(before.agent, after.agent);
  const received = share(before.receiver, after.receiver);
  const daily = ((after.requests - before.requests) / seconds) * SECONDS_OF_A_DAY;
  return [
    {
      what: `idle for ${MINUTES} min, shares of a core: agent with all it starts, receiver`,
      value: `${ours.toFixed(2)} %, ${received.toFixed(2)} %`,
      goal: '≤ 0.5 % together',
    },
    {
      what: 'requests to the store in a day at that rate',
      value: `${Math.round(daily)}`,
      goal: '≤ 10,000',
    },
  ];
}
