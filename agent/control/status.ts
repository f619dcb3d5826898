import type { AgentSettings, ScheduledJob } from '../../installer/model/agent-settings.ts';
import type { RunRecord } from '../jobs/history.ts';
import type { RunningRecord } from '../jobs/running.ts';
import { residentBytes } from '../metrics/collect.ts';
import type { ProbeResult } from '../net/probes.ts';
import type { AgentStatus } from './protocol.ts';

export interface StatusSources {
  readonly settings: AgentSettings;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly running: readonly RunningRecord[];
  readonly nextStart: (job: ScheduledJob) => number | undefined;
  readonly probes: readonly ProbeResult[];
  readonly history: readonly RunRecord[];
}

/** What `holdfast agent status` shows. */
export function agentStatus(sources: StatusSources): AgentStatus {
  const { settings, startedAt, running, nextStart, probes, history } = sources;
  return {
    pid: process.pid,
    startedAt: iso(startedAt),
    residentMemory: residentBytes(),
    timezone: settings.timezone,
    jobs: settings.jobs.map((job) => {
      const next = nextStart(job);
      const since = running.find((run) => run.job === job.id)?.startedAt;
      return {
        id: job.id,
        cron: job.cron,
        ...(next === undefined ? {} : { nextStart: iso(next) }),
        ...(since === undefined ? {} : { runningSince: iso(since) }),
      };
    }),
    probes,
    history,
  };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
