import { setImmediate } from 'node:timers/promises';
import { type EdgeVerdict, withVerdicts } from '../../agent/replicas/edge-file.ts';
import type { Outcome } from '../../agent/replicas/standing.ts';
import { ReplicaWatch, type WatchContext } from '../../agent/replicas/watch.ts';
import type { ReplicaCheck, WatchedService } from '../../installer/model/agent-settings.ts';
import type { EdgeState, ReplicaState } from '../../installer/model/edge-state.ts';
import type { ReplicasResult } from '../../installer/model/replicas-result.ts';
import { HandClock } from './support.ts';

export function watchedService(fields: Partial<WatchedService> = {}): WatchedService {
  return {
    name: 'web',
    check: { kind: 'http', port: 3000, path: '/health' },
    intervalSeconds: 10,
    timeoutSeconds: 5,
    healthy: 2,
    unhealthy: 3,
    memoryBytes: 100 * 1024 ** 2,
    connections: 0,
    ...fields,
  };
}

export interface FakeContainer {
  readonly name: string;
  readonly service: string;
  state: string;
  /** As the list of the engine shows it. */
  status: string;
  slot: 'a' | 'b';
  /** What it answers; a promise that never ends hangs. */
  answer: (check: ReplicaCheck) => Outcome | Promise<Outcome>;
}

export const WELL: Outcome = { ok: true, why: '' };
export const BROKEN: Outcome = { ok: false, why: '/health answers 500' };

/** Containers, an engine, and nginx's list, all in memory; time is moved by hand. */
export class ReplicaWorld {
  readonly clock = new HandClock('2026-05-01T00:00Z');
  readonly containers = new Map<string, FakeContainer>();
  readonly asked: string[] = [];
  readonly restarted: string[] = [];
  readonly log: string[] = [];
  readonly writes: EdgeVerdict[][] = [];
  state: EdgeState | undefined;
  isChanging = false;
  #onEvent: () => void = () => undefined;

  add(name: string, fields: Partial<FakeContainer> = {}): FakeContainer {
    const container: FakeContainer = {
      name,
      service: 'web',
      state: 'running',
      status: 'Up 2 minutes',
      slot: 'a',
      answer: () => WELL,
      ...fields,
    };
    this.containers.set(name, container);
    return container;
  }

  /** nginx knows these containers of `web`. */
  route(replicas: Readonly<Record<string, ReplicaState>>): void {
    this.state = {
      version: 1,
      generation: 1,
      services: {
        web: {
          slot: 'a',
          port: 3000,
          replicas: Object.entries(replicas).map(([container, state]) => ({
            container,
            id: idOf(container),
            state,
          })),
        },
      },
    };
  }

  /** States of nginx's list by container. */
  edge(): Record<string, ReplicaState> {
    const replicas = this.state?.services['web']?.replicas ?? [];
    return Object.fromEntries(replicas.map(({ container, state }) => [container, state]));
  }

  watch(
    services: readonly WatchedService[],
    before?: ReplicasResult,
    more: Partial<WatchContext> = {},
  ): ReplicaWatch {
    const watch = new ReplicaWatch({
      clock: this.clock,
      log: (text) => this.log.push(text),
      engine: {
        get: async () => [...this.containers.values()].map(listed),
        post: async (path) => {
          this.restarted.push(nameOf(/containers\/([^/]+)/.exec(path)?.[1] ?? ''));
        },
        events: (_filters, _clock, onEvent) => {
          this.#onEvent = onEvent;
          return () => undefined;
        },
      },
      edge: {
        read: () => this.state,
        write: async (verdicts) => {
          this.writes.push([...verdicts]);
          if (this.state !== undefined) this.state = withVerdicts(this.state, verdicts);
        },
      },
      ask: async (replica, check) => {
        this.asked.push(replica.name);
        return this.containers.get(replica.name)?.answer(check) ?? BROKEN;
      },
      isChanging: () => this.isChanging,
      onChange: () => undefined,
      before,
      ...more,
    });
    watch.set('test', services);
    return watch;
  }

  /** The engine tells that something happened. */
  async event(): Promise<void> {
    this.#onEvent();
    await this.pass(1);
  }

  /** Time goes by, and what is due on the way is done to its end. */
  async pass(seconds: number): Promise<void> {
    const end = this.clock.now() + seconds * 1_000;
    while (this.clock.now() < end) {
      this.clock.moveTo(Math.min(end, this.clock.now() + 250));
      await setImmediate();
    }
  }
}

/** Twice hexadecimal, as ids are; the first digits decide when a replica is asked. */
function idOf(name: string): string {
  return Buffer.from(name).toString('hex').padStart(64, '0');
}

function nameOf(id: string): string {
  return Buffer.from(id.replace(/^(?:00)+/, ''), 'hex').toString();
}

function listed({ name, service, state, status, slot }: FakeContainer): object {
  return {
    Id: idOf(name),
    Names: [`/${name}`],
    State: state,
    Status: status,
    Labels: {
      'io.holdfast.project': 'test',
      'com.docker.compose.service': service,
      'io.holdfast.slot': slot,
    },
    NetworkSettings: { Networks: { app: { IPAddress: state === 'running' ? '10.0.0.9' : '' } } },
  };
}
