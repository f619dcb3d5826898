import type { EngineSocket } from '../replicas/engine-socket.ts';

interface Reading {
  /** Milliseconds since the epoch, by the engine's clock. */
  readonly at: number;
  /** CPU seconds so far. */
  readonly seconds: number;
}

interface Stats {
  readonly read: string;
  readonly cpu_stats: { readonly cpu_usage: { readonly total_usage: number } };
}

/** CPU use of containers between two looks. The engine knows where the kernel keeps the figures; we do not. */
export class CpuMeter {
  readonly #engine: Pick<EngineSocket, 'get'>;
  readonly #before = new Map<string, Reading>();

  constructor(engine: Pick<EngineSocket, 'get'>) {
    this.#engine = engine;
  }

  /**
   * Mean use of these containers since the last look, percent of `cores` each; undefined at the first look and
   * when one of them was not there then.
   */
  async meanPercent(ids: readonly string[], cores: number): Promise<number | undefined> {
    const shares = await Promise.all(ids.map((id) => this.#share(id, cores)));
    const known = shares.filter((share) => share !== undefined);
    if (known.length === 0 || known.length < shares.length) return undefined;
    return known.reduce((sum, share) => sum + share, 0) / known.length;
  }

  /** Forgets containers that are gone. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.#before.keys()) if (!ids.has(id)) this.#before.delete(id);
  }

  async #share(id: string, cores: number): Promise<number | undefined> {
    const stats = (await this.#engine.get(
      `/containers/${id}/stats?stream=false&one-shot=true`,
    )) as Stats;
    const now: Reading = {
      at: Date.parse(stats.read),
      seconds: stats.cpu_stats.cpu_usage.total_usage / 1e9,
    };
    const before = this.#before.get(id);
    this.#before.set(id, now);
    // A container that was started anew counts from zero.
    if (before === undefined || now.at <= before.at || now.seconds < before.seconds)
      return undefined;
    return (100 * (now.seconds - before.seconds)) / ((now.at - before.at) / 1_000) / cores;
  }
}
