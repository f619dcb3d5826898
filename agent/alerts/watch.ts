import type { AgentJob, AgentSettings } from '../../installer/model/agent-settings.ts';
import {
  type ActiveAlert,
  ALERTS_RESULT,
  ALERTS_TOLD,
  type AlertsResult,
  type alertFolders,
  alertNews,
  isPausing,
  receiverId,
  type ToldAlerts,
} from '../../installer/model/alert.ts';
import type { Clock } from '../clock.ts';
import { readJson, removeFile, replaceFile } from '../files.ts';
import type { RunResult } from '../jobs/history.ts';
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
  readonly folders: ReturnType<typeof alertFolders>;
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
  #saved: { readonly keys: string; readonly why?: string } | undefined;
  #failures = 0;
  #failedAt = 0;

  constructor(context: AlertWatchContext) {
    this.#context = context;
    const before = this.#read<AlertsResult>(ALERTS_RESULT);
    // Without it, nobody is told of an end that Prometheus, which starts as well, is not sure of.
    this.#alerts = before?.alerts ?? this.#alertsTold();
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

  jobEnded(id: string, result: RunResult): void {
    if (id !== SEND.id) return;
    this.#failures = result === 'failed' || result === 'timeout' ? this.#failures + 1 : 0;
    this.#failedAt = this.#context.clock.now();
  }

  /** @throws Error when the disk cannot be read */
  #read<T>(name: string): T | undefined {
    const { disk, memory } = this.#context.folders;
    return readJson<T>(`${memory}/${name}`) ?? readJson<T>(`${disk}/${name}`);
  }

  #alertsTold(): ActiveAlert[] {
    const told = Object.values(this.#read<ToldAlerts>(ALERTS_TOLD)?.receivers ?? {});
    const alerts = told.flatMap((receiver) => receiver.told.map(({ alert }) => alert));
    return [...new Map(alerts.map((alert) => [alert.key, alert])).values()];
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
      // A clock that was put back begins the wait anew.
      this.#silentSince = Math.min(this.#silentSince ?? clock.now(), clock.now());
      this.#alerts = this.#withSilence(this.#silentSince, clock.now());
    }
    this.#orLog('alerts cannot be saved', () => this.#save());
    this.#orLog('alerts are not told', () => this.#send(settings));
    this.#cancel = clock.after(LOOK_EVERY, () => void this.#look(settings, generation));
  }

  #orLog(what: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#context.log(`${what}: ${reasonOf(error)}`);
    }
  }

  /** What fires, and what fired a moment ago. */
  #merged({ firing, pending }: PrometheusAlerts, now: number): ActiveAlert[] {
    const seen = new Set(firing.map(({ key }) => key));
    const held = this.#alerts.filter(({ key }) => {
      if (seen.has(key) || key === SILENCE) return false;
      if (pending.has(key)) this.#lastSeen.set(key, now);
      // One that a former agent saw counts from now, as one of before the clock was put back.
      this.#lastSeen.set(key, Math.min(this.#lastSeen.get(key) ?? now, now));
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

  /**
   * What is told rests on it: where the disk is full or read-only, it goes to memory.
   * @throws Error when that takes nothing either
   */
  #save(): void {
    const { clock, log, folders } = this.#context;
    const result: AlertsResult = {
      version: 1,
      askedAt: new Date(clock.now()).toISOString(),
      ...(this.#answeredAt === undefined
        ? {}
        : { answeredAt: new Date(this.#answeredAt).toISOString() }),
      alerts: this.#alerts,
    };
    const text = `${JSON.stringify(result)}\n`;
    const keys = JSON.stringify(this.#alerts.map(({ key }) => key));
    // Of another alert somebody is told: after a power cut it must still be known.
    const durable = this.#saved?.keys !== keys || this.#saved.why !== undefined;
    const inMemory = `${folders.memory}/${ALERTS_RESULT}`;
    try {
      replaceFile(`${folders.disk}/${ALERTS_RESULT}`, text, { mode: 0o600, durable });
      removeFile(inMemory);
      this.#saved = { keys };
    } catch (error) {
      const why = reasonOf(error);
      if (this.#saved?.why !== why) log(`alerts are kept in memory only: ${why}`);
      this.#saved = { keys, why };
      replaceFile(inMemory, text, { mode: 0o600, durable: false });
    }
  }

  #send({ receivers }: AlertSettings): void {
    const { clock, isRunning, startJob } = this.#context;
    // A run that fails may have told somebody and not noted it: that is not repeated at every look.
    if (isRunning(SEND.id) || isPausing(this.#failures, this.#failedAt, clock.now())) return;
    const told = this.#read<ToldAlerts>(ALERTS_TOLD)?.receivers;
    const isDue = receivers.some(
      (receiver) =>
        alertNews(receiver, this.#alerts, told?.[receiverId(receiver)], clock.now()) !== undefined,
    );
    if (isDue) startJob(SEND);
  }
}

const SILENCE = 'PrometheusSilent';
