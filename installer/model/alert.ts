import { posix } from 'node:path';
import type { DeployReceiver } from './deploy-event.ts';
import type { Paths } from './paths.ts';

/** An alert that holds, as Prometheus or the agent itself sees it. */
export interface ActiveAlert {
  /** Its name and all its labels: the same condition has the same key. */
  readonly key: string;
  readonly name: string;
  readonly severity: string;
  readonly summary: string;
  /** Page of `docs/runbooks`, without `.md`. */
  readonly runbook: string;
  /** UTC, ISO 8601. */
  readonly since: string;
}

/** What the agent last saw, at `paths.agent/alerts.json`. Times are UTC, ISO 8601. */
export interface AlertsResult {
  readonly version: 1;
  readonly askedAt: string;
  /** When Prometheus last answered; absent before its first answer. */
  readonly answeredAt?: string;
  readonly alerts: readonly ActiveAlert[];
}

export const ALERTS_RESULT = 'alerts.json';

/**
 * Where the files of alerts lie: on the disk, or in memory while the disk takes nothing. A file in memory is the newer
 * one: it goes as soon as the disk takes it again.
 */
export function alertFolders({ agent, agentSocket }: Pick<Paths, 'agent' | 'agentSocket'>) {
  return { disk: agent, memory: posix.dirname(agentSocket) };
}

/** A receiver, and what it wants to know of. */
export type AlertReceiver = DeployReceiver & { readonly severities: readonly string[] };

/** Who was told of what, at `paths.agent/alerts-told.json`, so that a new agent tells nobody twice. */
export interface ToldAlerts {
  readonly version: 1;
  /** By {@link receiverId}. */
  readonly receivers: Readonly<Record<string, ToldReceiver>>;
}

export interface ToldReceiver {
  readonly told: readonly { readonly alert: ActiveAlert; readonly at: string }[];
  /** Deliveries in a row that failed. */
  readonly failures: number;
  readonly failedAt?: string;
  /** Words of the last failure; without failures: what one of several addresses of a mail met. */
  readonly why?: string;
}

export const ALERTS_TOLD = 'alerts-told.json';

/** What a receiver has to be told now. */
export interface AlertNews {
  readonly firing: readonly ActiveAlert[];
  /** Told before, and still there. */
  readonly still: readonly ActiveAlert[];
  readonly resolved: readonly ActiveAlert[];
}

const HOUR = 3_600_000;
/** What holds on is told again after so long, milliseconds. */
const REPEAT_PAGE = 4 * HOUR;
const REPEAT_OTHER = 24 * HOUR;
/** Milliseconds after a first failure; doubled by each one more, up to the longest. */
const FIRST_PAUSE = 60_000;
const LONGEST_PAUSE = HOUR / 2;

/** One channel of a receiver: each is told by itself. */
export function receiverId({ name, channel }: Pick<AlertReceiver, 'name' | 'channel'>): string {
  return `${name}/${channel}`;
}

/** Whether what failed so often, the last time at this instant, is left alone yet; milliseconds since the epoch. */
export function isPausing(failures: number, failedAt: number, now: number): boolean {
  if (failures === 0) return false;
  const since = now - failedAt;
  // A clock that was put back must not silence anybody.
  return since >= 0 && since < Math.min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE);
}

/** What is due for a receiver, the gravest first; undefined for nothing, or while it is left alone after a failure. */
export function alertNews(
  receiver: AlertReceiver,
  alerts: readonly ActiveAlert[],
  { told, failures, failedAt }: ToldReceiver = { told: [], failures: 0 },
  now: number,
): AlertNews | undefined {
  if (failedAt !== undefined && isPausing(failures, Date.parse(failedAt), now)) return undefined;
  const wanted = gravestFirst(
    alerts.filter(({ severity }) => receiver.severities.includes(severity)),
  );
  const before = new Map(told.map(({ alert, at }) => [alert.key, Date.parse(at)]));
  const active = new Set(alerts.map(({ key }) => key));
  const firing = wanted.filter(({ key }) => !before.has(key));
  const still = wanted.filter(({ key, severity }) => {
    const at = before.get(key);
    const pause = severity === 'page' ? REPEAT_PAGE : REPEAT_OTHER;
    // Told in a future, of a clock that was put back since: nobody knows how long ago.
    return at !== undefined && (now < at || now - at >= pause);
  });
  const resolved = gravestFirst(
    told.flatMap(({ alert }) => (active.has(alert.key) ? [] : [alert])),
  );
  const isNothing = firing.length + still.length + resolved.length === 0;
  return isNothing ? undefined : { firing, still, resolved };
}

const GRAVEST = ['page', 'warn', 'info'];

/** By severity; otherwise as they came. */
export function gravestFirst(alerts: readonly ActiveAlert[]): ActiveAlert[] {
  const rank = ({ severity }: ActiveAlert): number =>
    GRAVEST.includes(severity) ? GRAVEST.indexOf(severity) : GRAVEST.length;
  return alerts.toSorted((left, right) => rank(left) - rank(right));
}

/** What is on record of a receiver once it took the news. */
export function afterTold(
  { told }: Pick<ToldReceiver, 'told'> = { told: [] },
  { firing, still, resolved }: AlertNews,
  at: string,
): ToldReceiver {
  const fresh = [...firing, ...still];
  const replaced = new Set([...fresh, ...resolved].map(({ key }) => key));
  const kept = told.filter(({ alert }) => !replaced.has(alert.key));
  return { told: [...kept, ...fresh.map((alert) => ({ alert, at }))], failures: 0 };
}
