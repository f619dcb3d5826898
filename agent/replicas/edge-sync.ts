import type { ReplicasResult } from '../../installer/model/replicas-result.ts';
import { type Log, reasonOf } from '../log.ts';
import type { EdgeFile, EdgeVerdict } from './edge-file.ts';
import { whoServes } from './serving.ts';
import { candidateOf, type Watched } from './watched.ts';

export interface EdgeSyncContext {
  readonly log: Log;
  readonly edge: Pick<EdgeFile, 'write'>;
  readonly all: () => readonly Watched[];
  readonly onChange: () => void;
  readonly before: ReplicasResult | undefined;
}

/** Brings nginx's list to what is held of the replicas. */
export class EdgeSync {
  readonly #context: EdgeSyncContext;
  readonly #takenOut: Map<string, number>;
  #isWriting = false;
  #again = false;

  constructor(context: EdgeSyncContext) {
    this.#context = context;
    this.#takenOut = new Map(
      context.before?.services.map(({ service, takenOut }) => [service, takenOut]),
    );
  }

  /** How often a replica of the service was taken out, ever. */
  takenOut(service: string): number {
    return this.#takenOut.get(service) ?? 0;
  }

  /** Writes what differs, if anything. One write at a time; what changes meanwhile follows. */
  settle(): void {
    if (this.#isWriting) {
      this.#again = true;
      return;
    }
    const changes = this.#changes();
    if (changes.length > 0) void this.#write(changes);
  }

  #changes(): { readonly watched: Watched; readonly verdict: EdgeVerdict }[] {
    const routed = this.#context.all().filter(({ edge }) => edge !== undefined);
    const byService = Map.groupBy(routed, ({ service }) => service.name);
    return [...byService.values()].flatMap((replicas) => {
      const serving = whoServes(replicas.map(candidateOf));
      return replicas.flatMap((watched) => {
        const state = serving.has(watched.id) ? 'up' : 'out';
        if (watched.edge === state) return [];
        const { id, standing } = watched;
        const reason = state === 'out' ? { reason: standing.why } : {};
        return [{ watched, verdict: { id, state, ...reason } as const }];
      });
    });
  }

  async #write(
    changes: readonly { readonly watched: Watched; readonly verdict: EdgeVerdict }[],
  ): Promise<void> {
    const { edge, log, onChange } = this.#context;
    this.#isWriting = true;
    try {
      await edge.write(changes.map(({ verdict }) => verdict));
      for (const { watched, verdict } of changes) {
        watched.edge = verdict.state;
        const { service, replica } = watched;
        if (verdict.state === 'out') {
          this.#takenOut.set(service.name, this.takenOut(service.name) + 1);
          log(`replica ${replica.name} gets no more requests: ${verdict.reason}`);
        } else log(`replica ${replica.name} gets requests again`);
      }
      onChange();
    } catch (error) {
      // The next answer of any replica, or the next look, tries again.
      log(`nginx's list of replicas cannot be written: ${reasonOf(error)}`);
      this.#again = false;
    }
    this.#isWriting = false;
    if (this.#again) {
      this.#again = false;
      this.settle();
    }
  }
}
