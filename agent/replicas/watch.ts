import type { WatchedService } from '../../installer/model/agent-settings.ts';
import { LABELS } from '../../installer/model/labels.ts';
import type { ReplicasResult, ServiceReplicas } from '../../installer/model/replicas-result.ts';
import type { Clock } from '../clock.ts';
import { type Log, reasonOf } from '../log.ts';
import { askReplica } from './ask-replica.ts';
import type { EdgeFile } from './edge-file.ts';
import { EdgeSync } from './edge-sync.ts';
import type { EngineSocket } from './engine-socket.ts';
import { membersOf } from './members.ts';
import { listReplicas } from './replica-list.ts';
import { Restarts } from './restarts.ts';
import { judged, type Outcome } from './standing.ts';
import { Turns } from './turns.ts';
import { observe, resultOf, type Watched, watchedFrom } from './watched.ts';

const SECOND = 1_000;
/** Events tell of most changes at once; this finds the rest, such as another address. */
const LOOK_EVERY = 30 * SECOND;
/** Many events come at once when a service is started. */
const AFTER_EVENT = 200;
const AT_ONCE = 8;
/** The deep path is slow by nature. */
const DEEP_EVERY_AT_LEAST = 30 * SECOND;
const SHORTEST_PAUSE = 500;
const EVENTS = ['start', 'die', 'destroy', 'pause', 'unpause', 'health_status'];

export interface WatchContext {
  readonly clock: Clock;
  readonly log: Log;
  readonly engine: Pick<EngineSocket, 'get' | 'post' | 'events'>;
  readonly edge: Pick<EdgeFile, 'read' | 'write'>;
  /** Whether somebody changes this server just now, as an apply or a deploy does. */
  readonly isChanging: () => boolean;
  /** Called after anything that {@link ReplicaWatch.results} shows may have changed. */
  readonly onChange: () => void;
  /** What a former agent knew. */
  readonly before: ReplicasResult | undefined;
  /** Stands in for the real question in tests. */
  readonly ask?: typeof askReplica;
}

/** Asks every replica of every service how it is, and keeps the sick ones out of nginx. */
export class ReplicaWatch {
  readonly #context: WatchContext;
  readonly #ask: typeof askReplica;
  readonly #watched = new Map<string, Watched>();
  readonly #turns = new Turns(AT_ONCE);
  readonly #sync: EdgeSync;
  readonly #restarts: Restarts;
  #project = '';
  #services = new Map<string, WatchedService>();
  #isLooking = false;
  #lookAgain = false;
  #isStopped = true;
  #cancelLook: () => void = () => undefined;
  #stopEvents: () => void = () => undefined;

  constructor(context: WatchContext) {
    this.#context = context;
    this.#ask = context.ask ?? askReplica;
    const { before } = context;
    const all = (): Watched[] => [...this.#watched.values()];
    this.#sync = new EdgeSync({ ...context, all, before });
    this.#restarts = new Restarts({ ...context, all, before });
  }

  /** Takes up services; what is known of containers that stay is kept. */
  set(project: string, services: readonly WatchedService[]): void {
    this.stop();
    this.#isStopped = false;
    this.#project = project;
    this.#services = new Map(services.map((service) => [service.name, service]));
    for (const watched of this.#watched.values()) {
      const service = this.#services.get(watched.service.name);
      if (service === undefined) this.#forget(watched);
      else {
        watched.service = service;
        this.#begin(watched);
      }
    }
    if (services.length === 0) return;
    const filters = {
      type: ['container'],
      event: EVENTS,
      label: [`${LABELS.project}=${project}`],
    };
    this.#stopEvents = this.#context.engine.events(filters, this.#context.clock, () =>
      this.#lookAfter(AFTER_EVENT),
    );
    this.#restarts.start();
    void this.look();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelLook();
    this.#stopEvents();
    this.#restarts.stop();
    for (const { cancel, cancelDeep } of this.#watched.values()) {
      cancel();
      cancelDeep();
    }
  }

  /** Containers of a service, by name. */
  members(service: string): readonly Watched[] {
    return [...this.#watched.values()]
      .filter((watched) => watched.service.name === service)
      .sort((left, right) => (left.replica.name < right.replica.name ? -1 : 1));
  }

  results(): ServiceReplicas[] {
    return [...this.#services.keys()].sort().map((service) => ({
      service,
      replicas: this.members(service).map(resultOf),
      restarts: this.#restarts.countOf(service),
      takenOut: this.#sync.takenOut(service),
    }));
  }

  /** Compares with the engine. One look at a time; one that is asked for meanwhile follows. */
  async look(): Promise<void> {
    this.#cancelLook();
    if (this.#isLooking) {
      this.#lookAgain = true;
      return;
    }
    this.#isLooking = true;
    try {
      await this.#look();
    } catch (error) {
      this.#context.log(`the replicas cannot be listed: ${reasonOf(error)}`);
    }
    this.#isLooking = false;
    this.#lookAfter(this.#lookAgain ? AFTER_EVENT : LOOK_EVERY);
    this.#lookAgain = false;
  }

  async #look(): Promise<void> {
    const { engine, edge, clock } = this.#context;
    const services = this.#services;
    const listed = await listReplicas(engine, this.#project, new Set(services.keys()));
    if (this.#isStopped || services !== this.#services) return;
    const state = edge.read();
    const seen = new Set<string>();
    for (const [name, service] of services) {
      const own = listed.filter((replica) => replica.service === name);
      for (const member of membersOf(own, state?.services[name])) {
        seen.add(member.replica.id);
        const known = this.#watched.get(member.replica.id);
        if (known !== undefined) {
          if (observe(known, member, clock.now())) this.#schedule(known, SHORTEST_PAUSE);
          continue;
        }
        const before = this.#restarts.knownOf(member.replica.id);
        const added = watchedFrom(member, service, before, clock.now());
        observe(added, member, clock.now());
        this.#watched.set(added.id, added);
        this.#begin(added);
      }
    }
    for (const watched of [...this.#watched.values()]) {
      if (!seen.has(watched.id)) this.#forget(watched);
    }
    this.#sync.settle();
    this.#context.onChange();
  }

  #lookAfter(milliseconds: number): void {
    this.#cancelLook();
    if (this.#isStopped) return;
    this.#cancelLook = this.#context.clock.after(milliseconds, () => void this.look());
  }

  #forget(watched: Watched): void {
    watched.cancel();
    watched.cancelDeep();
    this.#watched.delete(watched.id);
  }

  /** The questions to a service's replicas are spread over its interval. */
  #begin(watched: Watched): void {
    const interval = watched.service.intervalSeconds * SECOND;
    const share = Number.parseInt(watched.id.slice(0, 6), 16) / 0x1000000;
    this.#schedule(watched, (Number.isNaN(share) ? 0 : share) * interval);
    this.#scheduleDeep(watched, share * interval + SECOND);
  }

  #schedule(watched: Watched, milliseconds: number): void {
    watched.cancel();
    watched.cancel = this.#context.clock.after(milliseconds, () => void this.#question(watched));
  }

  /** The next question comes only when this one is over: two never overlap. */
  async #question(watched: Watched): Promise<void> {
    const { clock } = this.#context;
    const { check, intervalSeconds, timeoutSeconds } = watched.service;
    const started = clock.now();
    const outcome = await this.#inTurn(watched, () =>
      this.#ask(watched.replica, check, timeoutSeconds),
    );
    if (!this.#isWatched(watched)) return;
    if (outcome !== undefined && watched.replica.isRunning) this.#judge(watched, outcome);
    const isQuick = watched.standing.verdict === 'sick' && clock.now() < watched.quickUntil;
    const pause = isQuick ? SECOND : intervalSeconds * SECOND;
    // Less than nothing where the clock was set back meanwhile.
    const asking = Math.max(0, clock.now() - started);
    this.#schedule(watched, Math.max(pause - asking, SHORTEST_PAUSE));
  }

  #judge(watched: Watched, outcome: Outcome): void {
    const before = watched.standing;
    const { healthy, unhealthy } = watched.service;
    const now = this.#context.clock.now();
    watched.standing = judged(before, outcome, { healthy, unhealthy }, now);
    const { verdict, why } = watched.standing;
    if (verdict !== before.verdict) {
      const text = verdict === 'sick' ? `is sick: ${why}` : 'is well again';
      this.#context.log(`replica ${watched.replica.name} ${text}`);
    }
    // Also a first success counts where nobody else answers.
    this.#sync.settle();
    if (verdict !== before.verdict || why !== before.why) this.#context.onChange();
  }

  #scheduleDeep(watched: Watched, milliseconds: number): void {
    watched.cancelDeep();
    if (watched.service.deep === undefined) {
      watched.deep = undefined;
      return;
    }
    watched.cancelDeep = this.#context.clock.after(
      milliseconds,
      () => void this.#deepQuestion(watched),
    );
  }

  /** Raises alerts only: a database that is down must not take every replica out. */
  async #deepQuestion(watched: Watched): Promise<void> {
    const { deep, intervalSeconds, timeoutSeconds } = watched.service;
    if (deep === undefined) return;
    const outcome = await this.#inTurn(watched, () =>
      this.#ask(watched.replica, { kind: 'http', ...deep }, timeoutSeconds),
    );
    if (!this.#isWatched(watched)) return;
    watched.deep = outcome;
    this.#context.onChange();
    this.#scheduleDeep(watched, Math.max(intervalSeconds * SECOND, DEEP_EVERY_AT_LEAST));
  }

  async #inTurn(
    watched: Watched,
    ask: () => Promise<Outcome | undefined>,
  ): Promise<Outcome | undefined> {
    const giveBack = await this.#turns.take();
    try {
      return this.#isWatched(watched) && watched.replica.isRunning ? await ask() : undefined;
    } finally {
      giveBack();
    }
  }

  #isWatched(watched: Watched): boolean {
    return !this.#isStopped && this.#watched.get(watched.id) === watched;
  }
}
