import { posix } from 'node:path';
import type { AgentJob, AgentSettings, ScheduledJob } from '../../model/agent-settings.ts';
import type { PitrSettings } from '../../model/backup-settings.ts';
import type { Contribution, FileSpec, Reaction } from '../../model/contribution.ts';
import { allReceivers } from '../alerting/receivers.ts';
import { backupAgentJobs, backupSettings } from '../backups/component.ts';
import type { Collected, Component, ComponentInput } from '../component.ts';
import { ACCESS_LOG_FILE, REOPEN_LOGS } from '../nginx/access-log.ts';
import { edgeFolders } from '../nginx/places.ts';
import { PROMETHEUS_PORT, PROMETHEUS_SERVICE } from '../prometheus/places.ts';
import { servedHosts } from '../served-hosts.ts';
import { cronTimes } from './cron-times.ts';
import { applianceJobs } from './jobs.ts';
import { allProbes } from './probes.ts';
import { watchedServices } from './watched.ts';

/** A heartbeat more often than this is no news, seconds. */
const SHORTEST_HEARTBEAT = 10;

/** The resident daemon: its settings, and the service that keeps it running. */
export const agent: Component = {
  id: 'agent',
  enabled: () => true,
  needs: (config) => ({
    secrets: config.agent.heartbeat.map(({ urlSecret }) => ({
      name: urlSecret,
      optional: false,
      usedBy: 'agent.heartbeat',
    })),
  }),
  collect: (input, collected): Contribution => ({
    files: [
      ...serviceFiles(input),
      {
        path: 'agent/agent.json',
        component: 'agent',
        content: { text: `${JSON.stringify(settings(input, collected), undefined, 2)}\n` },
        onChange: [serviceCommand(input, 'reload', 'none')],
      },
    ],
  }),
};

function settings(input: ComponentInput, collected: Collected): AgentSettings {
  const { config, paths } = input;
  const folders = edgeFolders(paths);
  const probes = allProbes(config, collected.probes);
  const backups = backupSettings(input, collected);
  const edgeHosts = servedHosts(config, collected);
  return {
    version: 1,
    project: config.project,
    timezone: config.timezone,
    jobs: scheduled([
      ...backupAgentJobs(backups, config.backups.window),
      ...collected.jobs,
      ...applianceJobs(config),
    ]),
    probes,
    ...watchedServices(config, collected.databases),
    ...(backups.pitr === undefined ? {} : { wal: walSettings(backups.pitr) }),
    ...(config.monitoring.prometheus.enabled ? { alerts: alertSettings(config) } : {}),
    heartbeats: config.agent.heartbeat.map(({ urlSecret, every }) => ({
      urlSecret,
      everySeconds: Math.max(every, SHORTEST_HEARTBEAT),
    })),
    ...(config.agent.auditLog ? {} : { auditLog: false }),
    metricsEverySeconds: Math.max(config.agent.metricsEvery, 1),
    certificates: edgeHosts.map((host) => ({
      name: host,
      path: posix.join(folders.certificates, `${host}.crt`),
    })),
    edgeAddress: '127.0.0.1',
    edgeHosts,
    caFile: posix.join(paths.tls, 'private-ca/ca.crt'),
    accessLog: {
      path: posix.join(folders.logs, ACCESS_LOG_FILE),
      service: 'nginx',
      reopen: REOPEN_LOGS,
    },
  };
}

function alertSettings(config: ComponentInput['config']): NonNullable<AgentSettings['alerts']> {
  const { project, domain, environment } = config;
  return {
    service: PROMETHEUS_SERVICE,
    port: PROMETHEUS_PORT,
    sender: { project, domain, environment },
    receivers: allReceivers(config),
  };
}

/** It runs while WAL is written and ends by itself; the agent starts it when something has moved. */
function walSettings({ folder, rpoSeconds, job }: PitrSettings): NonNullable<AgentSettings['wal']> {
  return {
    folder,
    rpoSeconds,
    baseJob: `backup-${job}`,
    ship: {
      id: 'wal',
      argv: ['backup', 'ship-wal'],
      cron: '',
      jitterSeconds: 0,
      catchUp: false,
      timeoutSeconds: 2 * 3_600,
      quiet: true,
    },
  };
}

function scheduled(jobs: readonly AgentJob[]): ScheduledJob[] {
  const byId = new Map(jobs.map((job) => [job.id, job]));
  return [...byId.values()].map((job) => ({ ...job, times: cronTimes(job.cron) }));
}

/** systemd's unit, or an init script that does the same where systemd does not run this server. */
function serviceFiles(input: ComponentInput): FileSpec[] {
  const { paths, facts } = input;
  const root = paths.state.slice(0, -'/var/lib/holdfast'.length);
  const data = { paths, root, socketFolder: posix.dirname(paths.agentSocket) };
  const onChange = [serviceCommand(input, 'restart', 'restart')];
  return facts.systemd && root === ''
    ? [
        {
          path: '/etc/systemd/system/holdfast-agent.service',
          component: 'agent',
          content: {
            template: 'templates/agent/holdfast-agent.service.ejs',
            data,
            format: 'systemd',
          },
          onChange,
        },
      ]
    : [
        {
          path: `${root}/etc/init.d/holdfast-agent`,
          component: 'agent',
          content: { template: 'templates/agent/holdfast-agent.init.ejs', data, format: 'plain' },
          mode: 0o755,
          onChange,
        },
      ];
}

/** One script knows systemd and init scripts; `restart` enables the service too. */
function serviceCommand(
  { paths }: ComponentInput,
  verb: 'reload' | 'restart',
  impact: 'none' | 'restart',
): Reaction {
  return {
    kind: 'host',
    id: `agent-${verb}`,
    argv: ['sh', posix.join(paths.program, 'agent/service.sh'), verb],
    impact,
  };
}
