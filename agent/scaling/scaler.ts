import type {
  AgentJob,
  AgentSettings,
  WatchedService,
} from '../../installer/model/agent-settings.ts';
import type { ReplicasResult, ScalingResult } from '../../installer/model/replicas-result.ts';
import type { Clock } from '../clock.ts';
import type { RunResult } from '../jobs/history.ts';
import { type Log, reasonOf } from '../log.ts';
import type { CpuMeter } from './cpu-meter.ts';
import { type ScalingWish, scalingWish } from './decide.ts';
import { whyNotMore } from './headroom.ts';
import type { MachineLoad } from './machine-load.ts';
import { ScaledService } from './scaled-service.ts';

const SECOND = 1_000;
/** A look costs the engine some milliseconds for each replica. */
const LONGEST_PAUSE = 15 * SECOND;
const SHORTEST_PAUSE = SECOND;
/** Looks within the shorter of the two times of a rule. */
const LOOKS = 8;
/** Starting a replica that needs a minute to get healthy, and draining one. */
const JOB_SECONDS = 900;
const JOB_PREFIX = 'scale-';

export interface ScalerContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: CpuMeter;
  readonly machine: MachineLoad;
  /** Containers of a service that belong to its release. */
  readonly members: (
    service: string,
  ) => readonly { readonly id: string; readonly replica: { readonly isRunning: boolean } }[];
  readonly isChanging: () => boolean;
  /** Starts a child process; false when one of this name runs. */
  readonly start: (job: AgentJob) => boolean;
  readonly isRunning: (job: string) => boolean;
  readonly onChange: () => void;
  readonly before: ReplicasResult | undefined;
}

/** Keeps the number of replicas to the load. It decides; `holdfast scale` carries out, as a child process. */
export class Scaler {
  readonly #context: ScalerContext;
  #all: readonly WatchedService[] = [];
  #connectionsAllowed: number | undefined;
  #services = new Map<string, ScaledService>();
  #cancel: () => void = () => undefined;
  #isStopped = true;

  constructor(context: ScalerContext) {
    this.#context = context;
  }

  set({
    services,
    connectionsAllowed,
  }: Pick<AgentSettings, 'services' | 'connectionsAllowed'>): void {
    this.stop();
    this.#all = services;
    this.#connectionsAllowed = connectionsAllowed;
    const { before } = this.#context;
    this.#services = new Map(
      services.flatMap(({ name, scaling }) => {
        if (scaling === undefined) return [];
        const result =
          this.#services.get(name)?.result() ??
          before?.services.find(({ service }) => service === name)?.scaling;
        return [[name, new ScaledService(name, scaling, result)]];
      }),
    );
    if (this.#services.size === 0) return;
    this.#isStopped = false;
    this.#after();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  result(service: string): ScalingResult | undefined {
    return this.#services.get(service)?.result();
  }

  /** The child process of a change has ended. */
  ended(job: string, result: RunResult): void {
    if (!job.startsWith(JOB_PREFIX)) return;
    const scaled = this.#services.get(job.slice(JOB_PREFIX.length));
    if (result === 'skipped') scaled?.notBegun();
    else scaled?.ended(result === 'done', this.#context.clock.now());
    this.#context.onChange();
  }

  #after(): void {
    const shortest = Math.min(
      ...[...this.#services.values()].map(({ shortestSeconds }) => shortestSeconds),
    );
    const pause = Math.max(SHORTEST_PAUSE, Math.min(LONGEST_PAUSE, (shortest * SECOND) / LOOKS));
    this.#cancel = this.#context.clock.after(pause, () => void this.#round());
  }

  async #round(): Promise<void> {
    const services = this.#services;
    try {
      // While somebody changes the server, containers come and go: what they use says nothing.
      if (!this.#context.isChanging()) await this.#look(services);
    } catch (error) {
      this.#context.log(`the load cannot be measured: ${reasonOf(error)}`);
    }
    if (!this.#isStopped && services === this.#services) this.#after();
  }

  async #look(services: ReadonlyMap<string, ScaledService>): Promise<void> {
    const { meter, machine, members, clock, onChange } = this.#context;
    machine.look();
    for (const [name, scaled] of services) {
      const ids = members(name).map(({ id }) => id);
      const running = members(name).flatMap(({ id, replica }) => (replica.isRunning ? [id] : []));
      scaled.meet(ids);
      const cores = this.#all.find((service) => service.name === name)?.cpus ?? 1;
      const percent = await meter.meanPercent(running, cores);
      if (percent !== undefined) scaled.load.add({ at: clock.now(), percent });
    }
    meter.keepOnly(
      new Set([...services.keys()].flatMap((name) => members(name).map(({ id }) => id))),
    );
    for (const scaled of services.values()) this.#follow(scaled);
    onChange();
  }

  #follow(scaled: ScaledService): void {
    const { clock, members, log } = this.#context;
    const replicas = members(scaled.name).length;
    const now = clock.now();
    const wish = scalingWish(scaled.rule, scaled.load, {
      replicas,
      quietUntil: scaled.quietUntil(now),
      now,
    });
    const why =
      wish?.direction === 'up' ? this.#whyNot(scaled.name, wish.replicas - replicas) : undefined;
    if (why !== undefined && scaled.blocked === undefined)
      log(`${scaled.name} gets no more replicas: ${why}`);
    scaled.blocked = why;
    if (wish !== undefined && why === undefined) this.#carryOut(scaled, wish, replicas);
  }

  #carryOut(scaled: ScaledService, { replicas, reason }: ScalingWish, from: number): void {
    const { start, isRunning, clock, log } = this.#context;
    // One change at a time: each takes the lock of the server.
    if ([...this.#services.keys()].some((name) => isRunning(`${JOB_PREFIX}${name}`))) return;
    const id = `${JOB_PREFIX}${scaled.name}`;
    log(`${scaled.name} goes from ${from} to ${replicas} replicas: ${reason}`);
    scaled.begun({ from, to: replicas, reason }, clock.now());
    start({
      id,
      argv: ['scale', scaled.name, String(replicas), '--reason', reason],
      cron: '',
      jitterSeconds: 0,
      catchUp: false,
      timeoutSeconds: JOB_SECONDS,
    });
  }

  #whyNot(name: string, count: number): string | undefined {
    const service = this.#all.find((one) => one.name === name);
    if (service === undefined) return undefined;
    const { machine, members } = this.#context;
    const allowed = this.#connectionsAllowed;
    const taken = this.#all.reduce(
      (sum, { name: other, connections }) => sum + members(other).length * connections,
      0,
    );
    return whyNotMore(
      { count, memoryBytes: service.memoryBytes, connections: service.connections },
      machine.headroom(),
      allowed === undefined ? undefined : { allowed, taken },
    );
  }
}
