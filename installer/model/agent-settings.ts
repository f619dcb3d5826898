import type { Probe } from './contribution.ts';

/** A scheduled child process of the agent: the same command that a person would run. */
export interface AgentJob {
  readonly id: string;
  /** Arguments of the `holdfast` program, such as `['backup', 'run', 'daily']`. */
  readonly argv: readonly string[];
  /** Five fields, in the zone of {@link AgentSettings.timezone}. */
  readonly cron: string;
  /** Start is put off by a fixed, per-host share of this, seconds. */
  readonly jitterSeconds: number;
  /** Run once after a start when a run was missed while the machine was down. */
  readonly catchUp: boolean;
  readonly timeoutSeconds: number;
  readonly pingSecret?: string;
}

/** The applied settings of the resident agent, rendered to `stack/agent/agent.json`. */
export interface AgentSettings {
  readonly version: 1;
  readonly project: string;
  readonly timezone: string;
  readonly jobs: readonly AgentJob[];
  readonly probes: readonly Probe[];
  readonly heartbeats: readonly { readonly urlSecret: string; readonly everySeconds: number }[];
  readonly metricsEverySeconds: number;
  /** Certificates whose days left become a metric: absolute paths of PEM files. */
  readonly certificates: readonly { readonly name: string; readonly path: string }[];
  /** Address of the front door for probes, so that they work before DNS does. */
  readonly edgeAddress: string;
}
