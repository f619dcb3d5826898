import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { askAgent } from '../../agent/control/client.ts';
import type { AgentStatus } from '../../agent/control/protocol.ts';
import type { RunRecord } from '../../agent/jobs/history.ts';
import type { AgentSettings } from '../../installer/model/agent-settings.ts';
import { applySettings, job, linesOf, pingServer, serverWith, until } from './support.ts';

/** The resident agent as a process of its own, killed and started again. */

const RESIDENT = new URL('./resident.ts', import.meta.url).pathname;

/** The program of the jobs: notes its words, and waits for a file named by the last one. */
const PROGRAM = `#!/bin/sh
echo "$*" >> "$FOLDER/calls"
case "$1" in wait) until [ -e "$FOLDER/go" ]; do sleep 0.05; done ;; esac
exit 0
`;

function server(t: Test, settings: Partial<AgentSettings>) {
  // Short: the path of a socket may have 107 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'agent-'));
  writeFileSync(`${folder}/program.sh`, PROGRAM);
  const paths = serverWith(folder, settings);
  const agents: ChildProcess[] = [];
  t.teardown(() => {
    writeFileSync(`${folder}/go`, '');
    for (const agent of agents) agent.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });
  const start = () => {
    // With the umask of its unit and of its supervisor.
    const narrow = ['-c', 'umask 077; exec "$@"', 'sh', process.execPath, RESIDENT, folder];
    const agent = spawn('/bin/sh', narrow, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    agent.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    agents.push(agent);
    // Its last words may come after its end.
    const exited = new Promise<number | null>((resolve) => agent.once('close', resolve));
    return { agent, exited, output: () => output };
  };
  const status = async (): Promise<AgentStatus | undefined> => {
    const answer = await askAgent(paths.agentSocket, { verb: 'status' });
    return answer?.ok === true && 'status' in answer ? answer.status : undefined;
  };
  const run = (id: string) => askAgent(paths.agentSocket, { verb: 'run', job: id });
  const answering = (pid: number | undefined) =>
    until('the agent answers', async () => (await status())?.pid === pid);
  const records = () =>
    linesOf(`${paths.agent}/history.jsonl`).map((line) => JSON.parse(line) as RunRecord);
  const calls = () => linesOf(`${folder}/calls`);
  return { folder, paths, start, status, run, answering, records, calls };
}

t.test('two agents never run at once', async (t) => {
  const { start, answering, status, paths } = server(t, {});
  const first = start();
  await answering(first.agent.pid);
  const second = start();
  t.equal(await second.exited, 16);
  t.match(second.output(), `runs already (process ${first.agent.pid})`);
  t.equal((await status())?.pid, first.agent.pid, 'the first one still answers');
  t.equal(statSync(paths.agentSocket).mode & 0o777, 0o600);

  first.agent.kill('SIGKILL');
  await first.exited;
  const rivals = [start(), start(), start()];
  await until('one of three answers', async () =>
    rivals.some(({ agent }) => agent.pid === undefined) ? false : (await status()) !== undefined,
  );
  const winner = (await status())?.pid;
  const codes = await Promise.all(
    rivals.filter(({ agent }) => agent.pid !== winner).map(({ exited }) => exited),
  );
  t.strictSame(codes, [16, 16]);
});

t.test(
  'killed in mid-job, the next agent finds the job, does not repeat it and reports its end',
  async (t) => {
    const ping = await pingServer();
    t.teardown(() => ping.close());
    const { start, answering, run, records, calls, status, paths, folder } = server(t, {
      jobs: [job({ id: 'slow', argv: ['wait'], pingSecret: 'PING' })],
    });
    writeFileSync(`${paths.secrets}/PING`, ping.url);
    const first = start();
    await answering(first.agent.pid);
    t.match(await run('slow'), { ok: true, started: true });
    await until('it runs, and that was told', () => calls().length + ping.received.length === 2);
    first.agent.kill('SIGKILL');
    await first.exited;

    const second = start();
    await answering(second.agent.pid);
    t.ok((await status())?.jobs[0]?.runningSince, 'found running');
    t.match(await run('slow'), { ok: true, started: false });
    writeFileSync(`${folder}/go`, '');
    await until('its end is noted', () => records().some(({ result }) => result === 'lost'));
    t.strictSame(calls(), ['wait'], 'it ran once');
    await until('somebody outside was told', () => ping.received.length === 2);
    t.strictSame(
      ping.received.map(({ path }) => path.split('/').at(-1)),
      ['start', 'fail'],
    );
  },
);

t.test('a job that died with its agent is begun again, one time', async (t) => {
  const { start, answering, run, records, calls, folder } = server(t, {
    jobs: [job({ id: 'slow', argv: ['wait'] })],
  });
  const first = start();
  await answering(first.agent.pid);
  await run('slow');
  await until('it runs', () => calls().length === 1);
  const running = JSON.parse(
    readFileSync(`${folder}/var/lib/holdfast/agent/running/slow.json`, 'utf8'),
  ) as { process: { pid: number } };
  first.agent.kill('SIGKILL');
  await first.exited;
  process.kill(-running.process.pid, 'SIGKILL');

  writeFileSync(`${folder}/go`, '');
  const second = start();
  await until('the second run ended', () => records().some(({ result }) => result === 'done'));
  t.strictSame(
    records().map(({ reason, result }) => `${reason}: ${result}`),
    ['by hand: lost', 'retry: done'],
  );
  second.agent.kill('SIGTERM');
  t.equal(await second.exited, 0);
});

t.test('new settings are taken up by SIGHUP; broken ones leave the old in force', async (t) => {
  const { start, answering, status, paths } = server(t, { jobs: [job({ id: 'one' })] });
  const { agent, output } = start();
  await answering(agent.pid);
  applySettings(paths, {
    jobs: [job({ id: 'two' }), job({ id: 'three' })],
    timezone: 'Europe/Paris',
  });
  agent.kill('SIGHUP');
  await until('two jobs', async () => (await status())?.jobs.length === 2);
  t.equal((await status())?.timezone, 'Europe/Paris');
  t.match((await status())?.jobs[0]?.nextStart, /T0[01]:00:00/, '02:00 in Paris');

  writeFileSync(`${paths.stack}/agent/agent.json`, '{');
  agent.kill('SIGHUP');
  await until('it says so', () => output().includes('settings not taken up'));
  t.equal((await status())?.jobs.length, 2);
});

t.test('metrics are written whole, for everybody to read', async (t) => {
  const { start, answering, run, paths, records } = server(t, {
    jobs: [job({ id: 'backup-daily', argv: ['backup', 'run', 'daily'] })],
  });
  const { agent } = start();
  await answering(agent.pid);
  await run('backup-daily');
  await until('it ended', () => records().length === 1);
  const file = `${paths.metrics}/holdfast.prom`;
  await until('the run is in the metrics', () =>
    linesOf(file).some((line) => line.startsWith('holdfast_job_last_run_timestamp_seconds{')),
  );
  const text = readFileSync(file, 'utf8');
  t.match(text, 'holdfast_backup_failures_total{job="daily"} 0\n');
  t.match(text, 'holdfast_job_running{job="backup-daily"} 0\n');
  t.match(text, /^holdfast_agent_resident_memory_bytes \d{8,}$/m);
  t.equal(statSync(file).mode & 0o777, 0o644);
});

t.test('the socket refuses nonsense and unknown jobs, and answers on', async (t) => {
  const { start, answering, run, paths, status } = server(t, {});
  const { agent } = start();
  await answering(agent.pid);
  t.match(await run('nothing'), { ok: false, what: 'there is no job nothing' });
  t.match(await askAgent(paths.agentSocket, JSON.parse('{"verb":"run"}')), { ok: false });
  t.equal((await status())?.pid, agent.pid);
  t.equal(await askAgent(`${paths.agentSocket}.none`, { verb: 'status' }), undefined);
});
