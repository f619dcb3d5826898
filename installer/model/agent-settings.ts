import type { AlertReceiver } from './alert.ts';
import type { Probe } from './contribution.ts';

/** A cron schedule as sets of numbers. */
export interface CronTimes {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  /** Of the month. */
  readonly days: readonly number[];
  /** From 1. */
  readonly months: readonly number[];
  /** From 0, Sunday. */
  readonly weekdays: readonly number[];
  /** Neither day nor weekday was `*`: then one of the two is enough, as cron(5) has it. */
  readonly eitherDay: boolean;
}

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
  /** Where nothing is caught up, a start that comes later than this was missed; ten minutes when absent. */
  readonly lateAfterSeconds?: number;
  readonly timeoutSeconds: number;
  /** It starts in this time of day only: what falls due outside waits until the window opens. */
  readonly window?: DailyWindow;
  /** Only on the first seven days of a month, as `first Sunday` needs it: cron(5) has no word for that. */
  readonly firstWeekOnly?: boolean;
  readonly pingSecret?: string;
  /** Its good ends are no news: the history keeps its failures alone, and a new release waits for none of its runs. */
  readonly quiet?: true;
}

/** A part of every day on the clock of {@link AgentSettings.timezone}, minutes since midnight; `to` is outside. */
export interface DailyWindow {
  readonly from: number;
  /** Less than `from` when it goes over midnight. */
  readonly to: number;
}

/** A job as the agent gets it: with its schedule read. */
export interface ScheduledJob extends AgentJob {
  readonly times: CronTimes;
}

/** How a replica shows that it works. */
export type ReplicaCheck =
  /** Status 200 to 399 and, where given, the text in the body. */
  | {
      readonly kind: 'http';
      readonly port: number;
      readonly path: string;
      readonly expect?: string;
    }
  /** The port takes a connection. */
  | { readonly kind: 'port'; readonly port: number }
  /** What the engine says: the image's or the config's own command, or that it runs at all. */
  | { readonly kind: 'engine' };

export interface ScalingMark {
  /** Percent of a replica's CPU limit, of one core if it has none. */
  readonly cpuPercent: number;
  readonly forSeconds: number;
  /** Replicas at once. */
  readonly step: number;
}

/** The range that a service is kept in by its load. */
export interface ScalingRule {
  readonly min: number;
  readonly max: number;
  readonly scaleUp: ScalingMark;
  readonly scaleDown: ScalingMark;
  readonly cooldownSeconds: number;
}

/** A service of the product whose replicas the agent watches. */
export interface WatchedService {
  readonly name: string;
  readonly check: ReplicaCheck;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
  /** Successes in a row after which a sick replica is trusted again. */
  readonly healthy: number;
  /** Failures in a row after which a replica is sick. */
  readonly unhealthy: number;
  /** Asked more rarely; its answer raises alerts only. */
  readonly deep?: { readonly port: number; readonly path: string };
  /** Of one replica: bytes of memory, cores if they are limited, database connections. */
  readonly memoryBytes: number;
  readonly cpus?: number;
  readonly connections: number;
  /** Absent where the number of replicas is fixed. */
  readonly scaling?: ScalingRule;
}

/** The applied settings of the resident agent, rendered to `stack/agent/agent.json`. */
export interface AgentSettings {
  readonly version: 1;
  readonly project: string;
  readonly timezone: string;
  readonly jobs: readonly ScheduledJob[];
  readonly probes: readonly Probe[];
  readonly services: readonly WatchedService[];
  /** Connections that all services together may open to Postgres; absent without one. */
  readonly connectionsAllowed?: number;
  /** WAL that is received for point-in-time recovery; absent where it is not. */
  readonly wal?: {
    readonly folder: string;
    readonly rpoSeconds: number;
    /** Makes a base backup. */
    readonly baseJob: string;
    readonly ship: AgentJob;
  };
  /** Alerts of Prometheus and who is told of them; absent where there is no Prometheus. */
  readonly alerts?: {
    /** Prometheus, as compose names it. */
    readonly service: string;
    readonly port: number;
    readonly sender: {
      readonly project: string;
      readonly domain: string;
      readonly environment: string;
    };
    readonly receivers: readonly AlertReceiver[];
    /** Where PagerDuty takes events, instead of its own address. */
    readonly pagerDuty?: string;
  };
  readonly heartbeats: readonly { readonly urlSecret: string; readonly everySeconds: number }[];
  /** Changes leave no line; they do when absent. */
  readonly auditLog?: boolean;
  readonly metricsEverySeconds: number;
  /** Certificates whose days left become a metric: absolute paths of PEM files. */
  readonly certificates: readonly { readonly name: string; readonly path: string }[];
  /** Address of the front door for probes, so that they work before DNS does. */
  readonly edgeAddress: string;
  /** Hosts that the front door serves: their probes go to `edgeAddress`, all others where DNS says. */
  readonly edgeHosts: readonly string[];
  /** Trusted by probes besides the system's authorities, where it is there. */
  readonly caFile: string;
  /** nginx's JSON lines, and how it makes a new file after ours was moved away. */
  readonly accessLog: {
    readonly path: string;
    readonly service: string;
    readonly reopen: readonly [string, ...string[]];
  };
}
