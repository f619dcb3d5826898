/** What the agent last saw of the replicas, for `holdfast status`: `<paths.agent>/replicas.json`. Times are UTC. */
export interface ReplicasResult {
  readonly version: 1;
  readonly services: readonly ServiceReplicas[];
}

export const REPLICAS_RESULT = 'replicas.json';

export interface ServiceReplicas {
  readonly service: string;
  readonly replicas: readonly ReplicaResult[];
  /** How often we restarted or took out a replica of it, ever. */
  readonly restarts: number;
  readonly takenOut: number;
  readonly scaling?: ScalingResult;
}

export interface ReplicaResult {
  readonly id: string;
  readonly container: string;
  readonly healthy: boolean;
  /** Since when, ISO 8601. */
  readonly since: string;
  /** Why not healthy, or what its newest failed answer was; empty when all is well. */
  readonly why: string;
  /** Whether nginx sends requests to it; absent where nothing is routed to the service. */
  readonly serving?: boolean;
  /** Why the deep health path fails; absent when it does not, or there is none. */
  readonly deepWhy?: string;
  /** Restarts by us that still count, and when the last was. */
  readonly restarts?: { readonly count: number; readonly lastAt: string };
}

export interface ScalingResult {
  readonly min: number;
  readonly max: number;
  /** Mean of the last look, percent of a replica's limit; absent before the second look. */
  readonly cpuPercent?: number;
  /** The load asks for more than `max`. */
  readonly atMaximum: boolean;
  /** Why more replicas were not started although the load asks for them. */
  readonly blocked?: string;
  readonly changesUp: number;
  readonly changesDown: number;
  readonly last?: {
    readonly at: string;
    readonly from: number;
    readonly to: number;
    readonly reason: string;
    /** Absent while it is being carried out. */
    readonly ok?: boolean;
  };
}
