import type { AgentJob } from '../../model/agent-settings.ts';
import { trustsCloudflare } from '../cloudflare.ts';
import type { Config } from '../sections.ts';

const MINUTE = 60;
const HOUR = 3_600;

/** The jobs that every installation has, whatever its backups. */
export function applianceJobs(config: Config): AgentJob[] {
  return [
    {
      id: 'certificates',
      argv: ['certificates', 'renew'],
      cron: config.tls.renewAt,
      jitterSeconds: 30 * MINUTE,
      catchUp: true,
      timeoutSeconds: HOUR,
    },
    {
      id: 'update-check',
      argv: ['update', '--check'],
      cron: '30 5 * * *',
      jitterSeconds: HOUR,
      catchUp: true,
      timeoutSeconds: HOUR,
    },
    ...(trustsCloudflare(config) ? [CLOUDFLARE] : []),
    ...automaticUpdate(config),
    REPORT,
  ];
}

/** Of the month that is over. */
const REPORT: AgentJob = {
  id: 'report',
  argv: ['report', 'write', '--last-month'],
  cron: '0 9 1 * *',
  jitterSeconds: 30 * MINUTE,
  catchUp: true,
  timeoutSeconds: 15 * MINUTE,
};

/** Its list of networks changes once in some years; what is not on it would be taken for a client. */
const CLOUDFLARE: AgentJob = {
  id: 'cloudflare',
  argv: ['cloudflare', 'refresh'],
  cron: '40 4 * * *',
  jitterSeconds: HOUR,
  catchUp: true,
  timeoutSeconds: 30 * MINUTE,
};

const WEEKDAYS: Readonly<Record<string, string>> = {
  Mon: '1',
  Tue: '2',
  Wed: '3',
  Thu: '4',
  Fri: '5',
  Sat: '6',
  Sun: '0',
};

/** Of a window, at least this has to be left for an automatic update to begin. */
const UPDATE_NEEDS = 10 * MINUTE;

/**
 * Only where the config says `auto` and names a window: it starts with the window, or while that is open when the
 * machine was off. One that comes up after the window has to wait for the next one.
 */
function automaticUpdate(config: Config): AgentJob[] {
  const { images, window } = config.updates;
  if (images.policy !== 'auto' || window === undefined) return [];
  const [hour = 0, minute = 0] = window.from.split(':').map(Number);
  const day = WEEKDAYS[window.day ?? ''];
  return [
    {
      id: 'update',
      argv: ['update', '--yes'],
      cron: `${minute} ${hour} ${daysOf(window.every, day)}`,
      ...(window.every === 'monthly' && day !== undefined ? { firstWeekOnly: true } : {}),
      jitterSeconds: 0,
      catchUp: false,
      lateAfterSeconds: Math.max(windowSeconds(window.from, window.to) - UPDATE_NEEDS, 10 * MINUTE),
      timeoutSeconds: windowSeconds(window.from, window.to),
    },
  ];
}

function daysOf(every: 'daily' | 'weekly' | 'monthly', weekday: string | undefined): string {
  switch (every) {
    case 'daily':
      return '* * *';
    case 'weekly':
      return `* * ${weekday ?? '0'}`;
    case 'monthly':
      return weekday === undefined ? '1 * *' : `* * ${weekday}`;
  }
}

/** From start to end of a window that may cross midnight. */
export function windowSeconds(from: string, to: string): number {
  const [start = 0, end = 0] = [from, to].map((time) => {
    const [hours = 0, minutes = 0] = time.split(':').map(Number);
    return hours * HOUR + minutes * MINUTE;
  });
  const span = end - start;
  return span > 0 ? span : span + 24 * HOUR;
}
