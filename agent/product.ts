import type { AgentJob, AgentSettings } from '../installer/model/agent-settings.ts';
import type { Paths } from '../installer/model/paths.ts';
import type { ReplicasResult } from '../installer/model/replicas-result.ts';
import { isServerChanging } from './changing.ts';
import type { Clock } from './clock.ts';
import type { RunResult } from './jobs/history.ts';
import { type Log, reasonOf } from './log.ts';
import { replicaMetrics } from './metrics/replica-metrics.ts';
import type { Metric } from './metrics/text-format.ts';
import { EdgeFile } from './replicas/edge-file.ts';
import { EngineSocket } from './replicas/engine-socket.ts';
import { ReplicasFile } from './replicas/result-file.ts';
import { ReplicaWatch } from './replicas/watch.ts';
import { CpuMeter } from './scaling/cpu-meter.ts';
import { MachineLoad } from './scaling/machine-load.ts';
import { Scaler } from './scaling/scaler.ts';

export interface ProductContext {
  readonly paths: Paths;
  readonly clock: Clock;
  readonly log: Log;
  /** Socket of the Docker engine. */
  readonly engineSocket: string;
  /** `/proc`. */
  readonly kernel: string;
  readonly startJob: (job: AgentJob) => boolean;
  readonly isJobRunning: (job: string) => boolean;
}

/** The services of the product: the health of their replicas, and how many there are. */
export class Product {
  readonly #file: ReplicasFile;
  readonly #log: Log;
  readonly #watch: ReplicaWatch;
  readonly #scaler: Scaler;
  #settings: Pick<AgentSettings, 'services'> = { services: [] };

  constructor(context: ProductContext) {
    const { paths, clock, log } = context;
    this.#log = log;
    this.#file = new ReplicasFile(paths.agent);
    const engine = new EngineSocket(context.engineSocket);
    const shared = {
      clock,
      log,
      isChanging: () => isServerChanging(paths.applyLock),
      onChange: () => this.#save(),
      before: this.#file.read(),
    };
    this.#watch = new ReplicaWatch({ ...shared, engine, edge: new EdgeFile(paths.edge) });
    this.#scaler = new Scaler({
      ...shared,
      meter: new CpuMeter(engine),
      machine: new MachineLoad(context.kernel),
      members: (service) => this.#watch.members(service),
      start: context.startJob,
      isRunning: context.isJobRunning,
    });
  }

  set(settings: AgentSettings): void {
    this.#settings = settings;
    this.#watch.set(settings.project, settings.services);
    this.#scaler.set(settings);
  }

  stop(): void {
    this.#watch.stop();
    this.#scaler.stop();
  }

  jobEnded(job: string, result: RunResult): void {
    this.#scaler.ended(job, result);
  }

  result(): ReplicasResult {
    const services = this.#watch.results().map((service) => {
      const scaling = this.#scaler.result(service.service);
      return { ...service, ...(scaling === undefined ? {} : { scaling }) };
    });
    return { version: 1, services };
  }

  metrics(): Metric[] {
    const deep = this.#settings.services.filter((service) => service.deep !== undefined);
    return replicaMetrics(this.result(), new Set(deep.map(({ name }) => name)));
  }

  #save(): void {
    try {
      this.#file.write(this.result());
    } catch (error) {
      this.#log(`the state of the replicas cannot be written: ${reasonOf(error)}`);
    }
  }
}
