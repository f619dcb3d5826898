import type { ReplicasResult } from '../../installer/model/replicas-result.ts';
import type { Clock } from '../clock.ts';
import { type Log, reasonOf } from '../log.ts';
import type { EngineSocket } from './engine-socket.ts';
import { countRestart, nextRestart, type RestartCount, withoutFuture } from './restart-policy.ts';
import { restartCandidateOf, type Watched } from './watched.ts';

const LOOK_EVERY = 5_000;
/** Longer than any `stop_grace_period`, after which the engine kills. */
const PATIENCE_SECONDS = 150;

export interface RestartsContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly engine: Pick<EngineSocket, 'post'>;
  readonly all: () => readonly Watched[];
  readonly isChanging: () => boolean;
  readonly onChange: () => void;
  readonly before: ReplicasResult | undefined;
}

/** Restarts what stays sick, one at a time. */
export class Restarts {
  readonly #context: RestartsContext;
  readonly #counts: Map<string, number>;
  readonly #known: Map<string, RestartCount>;
  #isRestarting = false;
  #cancel: () => void = () => undefined;

  constructor(context: RestartsContext) {
    this.#context = context;
    const services = context.before?.services ?? [];
    this.#counts = new Map(services.map(({ service, restarts }) => [service, restarts]));
    this.#known = new Map(
      services
        .flatMap(({ replicas }) => replicas)
        .flatMap(({ id, restarts }) =>
          restarts === undefined
            ? []
            : [[id, { count: restarts.count, lastAt: Date.parse(restarts.lastAt) }]],
        ),
    );
  }

  /** Restarts of a container that a former agent counted. */
  knownOf(id: string): RestartCount | undefined {
    return this.#known.get(id);
  }

  /** Restarts of the service's replicas by us, ever. */
  countOf(service: string): number {
    return this.#counts.get(service) ?? 0;
  }

  start(): void {
    this.#cancel = this.#context.clock.after(LOOK_EVERY, () => {
      void this.#round();
      this.start();
    });
  }

  stop(): void {
    this.#cancel();
  }

  async #round(): Promise<void> {
    const { clock, log, engine, all, isChanging, onChange } = this.#context;
    if (this.#isRestarting || isChanging()) return;
    const now = clock.now();
    for (const one of all()) Object.assign(one, withoutFuture(one, now));
    const due = nextRestart(all().map(restartCandidateOf), now);
    const watched = all().find(({ id }) => id === due?.id);
    if (watched === undefined) return;
    this.#isRestarting = true;
    const { name } = watched.service;
    // Counted before: a restart that kills the agent or the engine has to count as well.
    watched.restarts = countRestart(watched.restarts, clock.now());
    this.#counts.set(name, this.countOf(name) + 1);
    onChange();
    log(
      `replica ${watched.replica.name} stays sick (${watched.standing.why}): restarted, for the ${watched.restarts.count}. time`,
    );
    try {
      await engine.post(`/containers/${watched.id}/restart`, PATIENCE_SECONDS);
    } catch (error) {
      log(`replica ${watched.replica.name} cannot be restarted: ${reasonOf(error)}`);
    }
    this.#isRestarting = false;
  }
}
