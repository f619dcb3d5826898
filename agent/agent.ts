import type { AgentSettings, ScheduledJob } from '../installer/model/agent-settings.ts';
import { alertFolders } from '../installer/model/alert.ts';
import type { Paths } from '../installer/model/paths.ts';
import type { ZoneOffset } from '../installer/model/wall-clock.ts';
import { askPrometheus } from './alerts/ask-prometheus.ts';
import { AlertWatch } from './alerts/watch.ts';
import { fs } from './builtins.ts';
import type { Clock } from './clock.ts';
import type { AgentAnswer, AgentRequest } from './control/protocol.ts';
import { listen } from './control/server.ts';
import { agentStatus } from './control/status.ts';
import { readText } from './files.ts';
import { FirewallGuard } from './firewall.ts';
import { History, type RunResult } from './jobs/history.ts';
import { JobRunner } from './jobs/job-runner.ts';
import { RunCounts } from './jobs/run-counts.ts';
import { RunningFiles, type RunningRecord } from './jobs/running.ts';
import { type Log, reasonOf } from './log.ts';
import { AccessLog } from './metrics/access-log.ts';
import { Certificates } from './metrics/certificates.ts';
import { collectMetrics } from './metrics/collect.ts';
import { isMaintenance } from './metrics/maintenance.ts';
import type { Metric } from './metrics/text-format.ts';
import { MetricsWriter } from './metrics/writer.ts';
import { Heartbeats } from './net/heartbeats.ts';
import { Pings } from './net/pings.ts';
import { type ProbeResult, Probes, withCertificateAge } from './net/probes.ts';
import { Product } from './product.ts';
import { runInService } from './reopen.ts';
import { EngineSocket } from './replicas/engine-socket.ts';
import { listReplicas } from './replicas/replica-list.ts';
import { MemoryFile } from './schedule/memory-file.ts';
import { Scheduler } from './schedule/scheduler.ts';
import { processOffset } from './schedule/slots.ts';
import { readSettings } from './settings.ts';
import { endLostDiversion } from './stand-in.ts';
import { WalWatch } from './wal-watch.ts';

const METRICS_FILE = 'holdfast.prom';
const ACCESS_LOG_BYTES = 16 * 1024 * 1024;
/** Of that size: with the one that is written, some 200,000 requests. */
const ACCESS_LOGS_KEPT = 4;
const SHOWN_RUNS = 20;

export interface AgentContext {
  readonly paths: Paths;
  readonly clock: Clock;
  readonly log: Log;
  /** What starts the holdfast program. */
  readonly program: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  /** Socket of the Docker engine. */
  readonly engineSocket: string;
  /** Where the kernel tells of the machine's load: `/proc`. */
  readonly kernel: string;
  /** Offset of the settings' time zone; tells the zone when it changes. */
  readonly useTimezone: (name: string) => ZoneOffset;
}

/** The zone of this process, set through `TZ`. */
export function useProcessTimezone(name: string): ZoneOffset {
  process.env['TZ'] = name;
  return processOffset;
}

/** All parts of the resident agent and how they hang together. */
export class Agent {
  readonly #context: AgentContext;
  readonly #pings: Pings;
  readonly #heartbeats: Heartbeats;
  readonly #probes: Probes;
  readonly #runner: JobRunner;
  readonly #product: Product;
  readonly #wal: WalWatch;
  readonly #alerts: AlertWatch;
  readonly #scheduler: Scheduler;
  readonly #history: History;
  readonly #counts: RunCounts;
  readonly #certificates = new Certificates();
  readonly #firewall: FirewallGuard;
  readonly #accessLog: AccessLog;
  readonly #writer: MetricsWriter;
  readonly #startedAt: number;
  #settings: AgentSettings;
  #offset: ZoneOffset;
  #stop: (() => void)[] = [];

  constructor(context: AgentContext) {
    const { paths, clock, log } = context;
    this.#context = context;
    this.#startedAt = clock.now();
    fs.mkdirSync(paths.agent, { recursive: true, mode: 0o700 });
    this.#settings = readSettings(this.#settingsPath);
    this.#offset = context.useTimezone(this.#settings.timezone);
    this.#history = new History(`${paths.agent}/history.jsonl`);
    this.#counts = new RunCounts(`${paths.agent}/run-counts.json`);
    this.#pings = new Pings({ clock, log, secrets: paths.secrets });
    this.#heartbeats = new Heartbeats(clock, this.#pings);
    this.#probes = new Probes(clock);
    this.#runner = new JobRunner({
      clock,
      log,
      program: context.program,
      environment: context.environment,
      folder: paths.agent,
      running: new RunningFiles(`${paths.agent}/running`),
      history: this.#history,
      events: {
        started: ({ pingSecret }) => {
          if (pingSecret !== undefined) this.#pings.send(pingSecret, 'start');
        },
        ended: (record, result, tail) => this.#ended(record, result, tail),
      },
    });
    this.#firewall = new FirewallGuard(paths, log);
    this.#product = new Product({
      ...context,
      startJob: (job) => this.#runner.start(job, 'load'),
      isJobRunning: (job) => this.#runner.isRunning(job),
    });
    this.#wal = new WalWatch({
      clock,
      folder: paths.agent,
      startJob: (job) => this.#runner.start(job, 'load'),
      startBackup: (id) => {
        const job = this.#job(id);
        if (job !== undefined) this.#runner.start(job, 'load');
      },
      isRunning: (id) => this.#runner.isRunning(id),
    });
    const engine = new EngineSocket(context.engineSocket);
    this.#alerts = new AlertWatch({
      clock,
      log,
      folders: alertFolders(paths),
      ask: async ({ service, port }) => {
        const found = await listReplicas(engine, this.#settings.project, new Set([service]));
        const address = found.find(({ isRunning }) => isRunning)?.address;
        if (address === undefined) throw new Error('it does not run');
        return askPrometheus(address, port);
      },
      startJob: (job) => this.#runner.start(job, 'load'),
      isRunning: (id) => this.#runner.isRunning(id),
    });
    this.#scheduler = new Scheduler({
      clock,
      log,
      offset: (instant) => this.#offset(instant),
      host: (readText('/etc/machine-id') ?? '').trim(),
      memory: new MemoryFile(`${paths.agent}/schedule.json`),
      actions: {
        start: (job, slot, reason) => {
          this.#runner.start(job, reason, slot);
        },
        missed: (job, slot) => this.#missed(job, slot),
      },
    });
    this.#accessLog = new AccessLog({
      path: this.#settings.accessLog.path,
      stateFile: `${paths.agent}/requests.json`,
      rotateAt: ACCESS_LOG_BYTES,
      keep: ACCESS_LOGS_KEPT,
      reopen: () => {
        const { project, accessLog } = this.#settings;
        return runInService(project, accessLog.service, accessLog.reopen);
      },
      log,
    });
    this.#writer = new MetricsWriter({
      clock,
      log,
      path: `${paths.metrics}/${METRICS_FILE}`,
      everySeconds: () => this.#settings.metricsEverySeconds,
      collect: () => this.#collect(),
    });
  }

  async start(): Promise<void> {
    const { paths, log } = this.#context;
    const server = await listen(paths.agentSocket, (request) => this.#answer(request), log);
    this.#stop.push(() => server.close());
    const lost = this.#runner.adopt();
    this.#use(this.#settings);
    this.#retry(lost);
    this.#scheduler.run();
    this.#stop.push(() => this.#scheduler.stop());
    this.#writer.start();
    this.#stop.push(() => this.#writer.stop());
    log(`agent ${process.pid} runs: ${this.#settings.jobs.length} jobs`);
  }

  /** Takes up new settings; with settings that cannot be read it goes on with the old ones. */
  reload(): void {
    try {
      this.#settings = readSettings(this.#settingsPath);
    } catch (error) {
      this.#context.log(`settings not taken up: ${reasonOf(error)}`);
      return;
    }
    this.#offset = this.#context.useTimezone(this.#settings.timezone);
    this.#use(this.#settings);
    this.#scheduler.tick();
    this.#context.log(`settings taken up: ${this.#settings.jobs.length} jobs`);
  }

  /** Ends everything but the jobs that run: the next agent finds them. */
  stop(): void {
    this.#heartbeats.stop();
    this.#probes.stop();
    this.#product.stop();
    this.#wal.stop();
    this.#alerts.stop();
    this.#runner.abandon();
    for (const stop of this.#stop) stop();
  }

  isIdle(): boolean {
    return this.#runner.current().every(({ quiet }) => quiet === true);
  }

  get #settingsPath(): string {
    return `${this.#context.paths.stack}/agent/agent.json`;
  }

  #use(settings: AgentSettings): void {
    this.#scheduler.setJobs(settings.jobs, settings.timezone);
    this.#heartbeats.set(settings.heartbeats);
    this.#probes.set(settings.probes, settings);
    this.#product.set(settings);
    this.#wal.set(settings.wal);
    this.#alerts.set(settings.alerts);
  }

  /** What died with the machine is begun again, one time: at once, or when its window opens. */
  #retry(lost: readonly RunningRecord[]): void {
    for (const { job: id, reason, slot } of lost) {
      const job = this.#job(id);
      if (job?.catchUp !== true || reason === 'retry') continue;
      if (slot !== undefined && !this.#scheduler.mayStart(job)) this.#scheduler.owe(job, slot);
      else this.#runner.start(job, 'retry', slot);
    }
  }

  #ended(record: RunningRecord, result: RunResult, tail: string): void {
    const { clock, log } = this.#context;
    this.#product.jobEnded(record.job, result);
    this.#alerts.jobEnded(record.job, result);
    if (result === 'skipped') return;
    try {
      this.#counts.ended(record.job, result, record.startedAt, clock.now());
    } catch (error) {
      log(`the run counters cannot be kept: ${reasonOf(error)}`);
    }
    if (record.pingSecret === undefined) return;
    if (result === 'done') this.#pings.send(record.pingSecret, 'success');
    else this.#pings.send(record.pingSecret, 'fail', `${record.job}: ${result}\n${tail}`);
  }

  #missed(job: ScheduledJob, slot: number): void {
    const now = new Date(this.#context.clock.now()).toISOString();
    this.#context.log(`job ${job.id}: its time passed while no agent ran`);
    this.#history.add({
      job: job.id,
      reason: 'schedule',
      slot: new Date(slot).toISOString(),
      startedAt: now,
      finishedAt: now,
      result: 'missed',
    });
  }

  async #collect(): Promise<Metric[]> {
    await this.#accessLog.poll();
    await endLostDiversion(this.#context.paths, this.#context.log);
    return collectMetrics({
      settings: this.#settings,
      folder: this.#context.paths.agent,
      counts: this.#counts,
      isRunning: (job) => this.#runner.isRunning(job),
      probes: await this.#probeResults(),
      certificates: await this.#notAfter(),
      isMaintenance: isMaintenance(this.#context.paths),
      isFirewallLoaded: await this.#firewall.look(this.#context.clock.now()),
      startedAt: this.#startedAt / 1_000,
      others: [...this.#product.metrics(), ...this.#wal.metrics(), ...this.#accessLog.metrics()],
    });
  }

  #notAfter() {
    return this.#certificates.notAfter(this.#settings.certificates, this.#context.clock.now());
  }

  async #probeResults(): Promise<ProbeResult[]> {
    return withCertificateAge(
      this.#probes.results(),
      this.#settings.probes,
      await this.#notAfter(),
      this.#context.clock.now(),
    );
  }

  #answer(request: AgentRequest): AgentAnswer {
    if (request.verb === 'status') {
      const status = agentStatus({
        settings: this.#settings,
        startedAt: this.#startedAt,
        running: this.#runner.current(),
        nextStart: (job) => this.#scheduler.nextStart(job),
        probes: this.#probes.results(),
        history: this.#history.last(SHOWN_RUNS),
      });
      return { ok: true, status };
    }
    const job = this.#job(request.job);
    if (job === undefined) return { ok: false, what: `there is no job ${request.job}` };
    return { ok: true, started: this.#runner.start(job, 'by hand') };
  }

  #job(id: string): ScheduledJob | undefined {
    return this.#settings.jobs.find((job) => job.id === id);
  }
}
