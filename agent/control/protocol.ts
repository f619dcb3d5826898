import type { RunRecord } from '../jobs/history.ts';
import type { ProbeResult } from '../net/probes.ts';

/** One JSON line from the client, one JSON line back, and the connection is closed. */
export type AgentRequest =
  | { readonly verb: 'status' }
  | { readonly verb: 'run'; readonly job: string };

export interface AgentStatus {
  readonly pid: number;
  /** UTC, ISO 8601, as all times here. */
  readonly startedAt: string;
  /** Bytes. */
  readonly residentMemory: number;
  readonly timezone: string;
  readonly jobs: readonly JobStatus[];
  readonly probes: readonly ProbeResult[];
  /** Newest runs, oldest first. */
  readonly history: readonly RunRecord[];
}

export interface JobStatus {
  readonly id: string;
  readonly cron: string;
  readonly nextStart?: string;
  readonly runningSince?: string;
}

export type AgentAnswer =
  | { readonly ok: true; readonly status: AgentStatus }
  | { readonly ok: true; readonly started: boolean }
  | { readonly ok: false; readonly what: string };
