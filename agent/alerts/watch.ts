import type { AgentJob, AgentSettings } from '../../installer/model/agent-settings.ts';
import {
  type ActiveAlert,
  ALERTS_RESULT,
  ALERTS_TOLD,
  type AlertsResult,
  alertNews,
  receiverId,
  type ToldAlerts,
} from '../../installer/model/alert.ts';
import type { Clock } from '../clock.ts';
import { readJson, replaceFile } from '../files.ts';
import { type Log, reasonOf } from '../log.ts';
import type { PrometheusAlerts } from './ask-prometheus.ts';

const SECOND = 1_000;
const LOOK_EVERY = 30 * SECOND;
/** An alert that is gone for less is not over: Prometheus forgets for a moment when it starts anew. */
const GONE_AFTER = 120 * SECOND;
/** Longer than an apply needs to replace Prometheus. */
const SILENT_AFTER = 300 * SECOND;
const SEND: AgentJob = {
  id: 'alerts',
  argv: ['alerts', 'send'],
  cron: '',
  jitterSeconds: 0,
  catchUp: false,
  timeoutSeconds: 600,
  quiet: true,
};

type AlertSettings = NonNullable<AgentSettings['alerts']>;

export interface AlertWatchContext {
  readonly clock: Clock;
  readonly log: Log;
  /** `paths.agent` */
  readonly folder: string;
  /** @throws Error when Prometheus cannot be asked */
  readonly ask: (settings: AlertSettings) => Promise<PrometheusAlerts>;
  readonly startJob: (job: AgentJob) => void;
  readonly isRunning: (id: string) => boolean;
}

/** Follows the alerts of Prometheus and starts a child that tells the receivers when there is something to tell. */
export class AlertWatch {
  readonly #context: AlertWatchContext;
  #cancel: () => void = () => undefined;
  #generation = 0;
  #alerts: readonly ActiveAlert[];
  #lastSeen = new Map<string, number>();
  #answeredAt: number | undefined;
  #silentSince: number | undefined;

  constructor(context: AlertWatchContext) {
    this.#context = context;
    const before = readJson<AlertsResult>(this.#resultFile);
    this.#alerts = before?.alerts ?? [];
    this.#answeredAt = before?.answeredAt === undefined ? undefined : Date.parse(before.answeredAt);
  }

  set(settings: AlertSettings | undefined): void {
    this.stop();
    if (settings !== undefined) void this.#look(settings, this.#generation);
  }

  stop(): void {
    this.#generation += 1;
    this.#cancel();
  }

  get #resultFile(): string {
    return `${this.#context.folder}/${ALERTS_RESULT}`;
  }

  async #look(settings: AlertSettings, generation: number): Promise<void> {
    const { clock, log, ask } = this.#context;
    try {
      const answer = await ask(settings);
      if (generation !== this.#generation) return;
      if (this.#silentSince !== undefined) log('Prometheus answers again');
      this.#silentSince = undefined;
      this.#answeredAt = clock.now();
      this.#alerts = this.#merged(answer, clock.now());
    } catch (error) {
      if (generation !== this.#generation) return;
      if (this.#silentSince === undefined) {
        log(`Prometheus cannot be asked for alerts: ${reasonOf(error)}`);
      }
      this.#silentSince ??= clock.now();
      this.#alerts = this.#withSilence(this.#silentSince, clock.now());
    }
    try {
      this.#save();
      this.#send(settings);
    } catch (error) {
      log(`alerts are not told: ${reasonOf(error)}`);
    }
    this.#cancel = clock.after(LOOK_EVERY, () => void this.#look(settings, generation));
  }

  /** What fires, and what fired a moment ago. */
  #merged({ firing, pending }: PrometheusAlerts, now: number): ActiveAlert[] {
    const seen = new Set(firing.map(({ key }) => key));
    const held = this.#alerts.filter(({ key }) => {
      if (seen.has(key) || key === SILENCE) return false;
      if (pending.has(key)) this.#lastSeen.set(key, now);
      // One that a former agent saw counts from now.
      if (!this.#lastSeen.has(key)) this.#lastSeen.set(key, now);
      return now - (this.#lastSeen.get(key) ?? now) < GONE_AFTER;
    });
    const kept = new Map(held.map(({ key }) => [key, this.#lastSeen.get(key) ?? now]));
    this.#lastSeen = new Map([...kept, ...firing.map(({ key }) => [key, now] as const)]);
    return [...firing, ...held];
  }

  /** What fired goes on firing: nobody knows better. */
  #withSilence(since: number, now: number): readonly ActiveAlert[] {
    if (now - since < SILENT_AFTER || this.#alerts.some(({ key }) => key === SILENCE)) {
      return this.#alerts;
    }
    const silence: ActiveAlert = {
      key: SILENCE,
      name: SILENCE,
      severity: 'page',
      summary: 'Prometheus cannot be asked: no other alert can arrive.',
      runbook: 'prometheus-silent',
      since: new Date(since).toISOString(),
    };
    return [...this.#alerts, silence];
  }

  #save(): void {
    const { clock } = this.#context;
    const result: AlertsResult = {
      version: 1,
      askedAt: new Date(clock.now()).toISOString(),
      ...(this.#answeredAt === undefined
        ? {}
        : { answeredAt: new Date(this.#answeredAt).toISOString() }),
      alerts: this.#alerts,
    };
    replaceFile(this.#resultFile, `${JSON.stringify(result)}\n`, { mode: 0o600, durable: false });
  }

  #send({ receivers }: AlertSettings): void {
    const { clock, folder, isRunning, startJob } = this.#context;
    if (isRunning(SEND.id)) return;
    const told = readJson<ToldAlerts>(`${folder}/${ALERTS_TOLD}`)?.receivers;
    const isDue = receivers.some(
      (receiver) =>
        alertNews(receiver, this.#alerts, told?.[receiverId(receiver)], clock.now()) !== undefined,
    );
    if (isDue) startJob(SEND);
  }
}

const SILENCE = 'PrometheusSilent';
