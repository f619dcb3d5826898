import { createHash } from 'node:crypto';
import type { ContainerState, ImageState } from '../../installer/engine/engine.ts';
import { AppError } from '../../installer/errors.ts';

/** How the containers of a service behave once started. */
export interface Behaviour {
  /** What the health check comes to; `none` when there is no check. */
  readonly health?: 'healthy' | 'unhealthy' | 'starting' | 'none';
  /** Whether its health check, run by us, ends well while the engine has not looked yet. */
  readonly answersEarly?: boolean;
  /** Ends at once with this code. */
  readonly exits?: number;
  /** Ends at once with this code, and the engine starts it again and again. */
  readonly keepsExiting?: number;
  readonly logs?: string;
  readonly memoryBytes?: number;
  readonly cpuSeconds?: number;
}

export interface ContainerSpec {
  readonly name: string;
  readonly service: string;
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Whether the container has a health check. */
  readonly checked: boolean;
  readonly memoryLimit: number;
  readonly networks: readonly string[];
  /** By network. */
  readonly aliases?: Readonly<Record<string, readonly string[]>>;
}

export type Labels = Readonly<Record<string, string>>;

/** What an engine in memory holds, and how it changes. */
export class FakeObjects {
  readonly images = new Map<string, ImageState>();
  readonly volumeLabels = new Map<string, Labels>();
  readonly networkStates = new Map<string, { readonly subnet: string; readonly labels: Labels }>();
  /** References that no registry has: a pull of one fails. */
  readonly unavailable = new Set<string>();
  readonly #containers = new Map<string, ContainerState>();
  readonly #behaviours = new Map<string, Behaviour>();
  #ticks = 0;

  /** Says how containers of a service behave; those that run change at once. */
  behave(service: string, behaviour: Behaviour): void {
    this.#behaviours.set(service, behaviour);
    for (const one of this.#containers.values()) {
      if (one.service === service && one.status === 'running') this.start(one.id);
    }
  }

  addImage(reference: string, fields: Partial<ImageState> = {}): ImageState {
    const [repository = '', digest] = reference.split('@');
    const image: ImageState = {
      id: `sha256:${createHash('sha256').update(reference).digest('hex')}`,
      tags: digest === undefined ? [reference] : [],
      digests: digest === undefined ? [] : [`${repository.replace(/:[^:/]*$/, '')}@${digest}`],
      labels: {},
      user: '',
      createdAt: '2026-01-01T00:00:00Z',
      size: 1_000_000,
      ...fields,
    };
    this.images.set(reference, image);
    return image;
  }

  create(spec: ContainerSpec): ContainerState {
    const image = this.findImage(spec.image);
    if (image === undefined) throw new Error(`No such image: ${spec.image}`);
    const id = createHash('sha256').update(`container ${this.#tick()}`).digest('hex');
    const state: ContainerState = {
      id,
      name: spec.name,
      service: spec.service,
      imageId: image.id,
      imageReference: spec.image,
      labels: spec.labels,
      status: 'created',
      health: spec.checked ? 'starting' : 'none',
      exitCode: 0,
      oomKilled: false,
      restartCount: 0,
      startedAt: '0001-01-01T00:00:00Z',
      addresses: Object.fromEntries(spec.networks.map((name, n) => [name, `10.0.${n}.2`])),
      aliases: spec.aliases ?? {},
      networks: [...spec.networks].sort(),
      memoryLimit: spec.memoryLimit,
    };
    this.#containers.set(id, state);
    return state;
  }

  start(id: string): void {
    const { service, health } = this.get(id);
    const behaviour = this.#behaviours.get(service) ?? {};
    const { exits, keepsExiting, health: wanted = 'healthy' } = behaviour;
    const ended = exits === undefined ? 'running' : 'exited';
    this.#update(id, {
      status: keepsExiting === undefined ? ended : 'restarting',
      exitCode: exits ?? keepsExiting ?? 0,
      health: health === 'none' || wanted === 'none' ? 'none' : wanted,
      startedAt: new Date(Date.UTC(2026, 0, 1) + this.#tick() * 1000).toISOString(),
    });
  }

  pause(id: string): void {
    this.#update(id, { status: 'paused' });
  }

  unpause(id: string): void {
    this.#update(id, { status: 'running' });
  }

  stop(id: string): void {
    this.#update(id, { status: 'exited', exitCode: 0 });
  }

  /** Ends with a failure, and the engine starts it again by its restart policy. */
  crash(id: string): void {
    this.stop(id);
    this.start(id);
    this.#update(id, { exitCode: 9, restartCount: this.get(id).restartCount + 1 });
  }

  /** @throws Error as the engine says it */
  connect(id: string, network: string, alias = '', address?: string): void {
    const { networks, addresses, aliases, name } = this.get(id);
    if (networks.includes(network)) {
      throw new Error(`endpoint with name ${name} already exists in network ${network}`);
    }
    this.#update(id, {
      networks: [...networks, network].sort(),
      addresses: { ...addresses, [network]: address ?? `10.0.${networks.length}.2` },
      aliases: { ...aliases, [network]: [alias] },
    });
  }

  /** @throws Error as the engine says it */
  disconnect(id: string, network: string): void {
    const { networks, addresses, aliases } = this.get(id);
    if (!networks.includes(network)) {
      throw new Error(`container ${id} is not connected to network ${network}`);
    }
    const { [network]: _gone, ...rest } = addresses;
    const { [network]: _names, ...named } = aliases;
    this.#update(id, {
      networks: networks.filter((one) => one !== network),
      addresses: rest,
      aliases: named,
    });
  }

  remove(id: string): void {
    this.#containers.delete(this.get(id).id);
  }

  /** All containers, oldest first. */
  all(): ContainerState[] {
    return [...this.#containers.values()];
  }

  behaviourOf({ service }: ContainerState): Behaviour {
    return this.#behaviours.get(service) ?? {};
  }

  lastLines(state: ContainerState, count: number): string {
    const { logs = '' } = this.behaviourOf(state);
    return logs.trimEnd().split('\n').slice(-count).join('\n');
  }

  findImage(reference: string): ImageState | undefined {
    const exact = this.images.get(reference);
    if (exact !== undefined) return exact;
    return [...this.images.values()].find(
      ({ id, tags, digests }) =>
        id === reference || tags.includes(reference) || digests.includes(reference),
    );
  }

  get(idOrName: string): ContainerState {
    const found =
      this.#containers.get(idOrName) ?? this.all().find(({ name }) => name === idOrName);
    if (found !== undefined) return found;
    throw new AppError({
      code: 'engine/not-found',
      what: `there is no container ${idOrName}`,
      hint: 'holdfast plan',
    });
  }

  #update(id: string, fields: Partial<ContainerState>): void {
    const state = this.get(id);
    this.#containers.set(state.id, { ...state, ...fields });
  }

  #tick(): number {
    this.#ticks += 1;
    return this.#ticks;
  }
}
