import type { ScalingRule } from '../../installer/model/agent-settings.ts';
import type { ScalingResult } from '../../installer/model/replicas-result.ts';
import { isAtMaximum } from './decide.ts';
import { LoadWindow } from './load-window.ts';

/** After a change that failed the pause doubles, up to this many times. */
const MOST_DOUBLINGS = 4;

/** The load of one service, and the changes that came of it. */
export class ScaledService {
  readonly name: string;
  readonly rule: ScalingRule;
  readonly load: LoadWindow;
  /** Why more replicas were not started although the load asks for them. */
  blocked: string | undefined;
  /** The newest change, milliseconds since the epoch; nothing is changed for a while after it. */
  #pausedAt = Number.NEGATIVE_INFINITY;
  #ids = '';
  #replicas = 0;
  #failures = 0;
  #changes: Pick<ScalingResult, 'changesUp' | 'changesDown' | 'last'>;
  /** What a change that does not begin after all leaves standing. */
  #before: { readonly last?: ScalingResult['last']; readonly pausedAt: number } = {
    pausedAt: Number.NEGATIVE_INFINITY,
  };

  constructor(name: string, rule: ScalingRule, before: ScalingResult | undefined) {
    this.name = name;
    this.rule = rule;
    this.load = new LoadWindow(Math.max(rule.scaleUp.forSeconds, rule.scaleDown.forSeconds));
    const { changesUp = 0, changesDown = 0, last } = before ?? {};
    this.#changes = { changesUp, changesDown, ...(last === undefined ? {} : { last }) };
    if (last !== undefined) this.#pausedAt = Date.parse(last.at);
  }

  get shortestSeconds(): number {
    return Math.min(this.rule.scaleUp.forSeconds, this.rule.scaleDown.forSeconds);
  }

  /** The containers that there are; with others than before the load begins anew. */
  meet(ids: readonly string[]): void {
    const key = ids.join(' ');
    if (key !== this.#ids) this.load.clear();
    this.#ids = key;
    this.#replicas = ids.length;
  }

  begun(
    change: { readonly from: number; readonly to: number; readonly reason: string },
    now: number,
  ): void {
    this.#before = { last: this.#changes.last, pausedAt: this.#pausedAt };
    this.#pausedAt = now;
    const last = { at: new Date(now).toISOString(), ...change };
    this.#changes = { ...this.#changes, last };
  }

  ended(ok: boolean, now: number): void {
    this.#failures = ok ? 0 : this.#failures + 1;
    this.#pausedAt = now;
    const { changesUp, changesDown, last } = this.#changes;
    if (last === undefined) return;
    this.#changes = {
      changesUp: changesUp + Number(ok && last.to > last.from),
      changesDown: changesDown + Number(ok && last.to < last.from),
      last: { ...last, ok },
    };
  }

  /** Somebody else was changing the server: as if it had not begun. */
  notBegun(): void {
    const { changesUp, changesDown } = this.#changes;
    const { last, pausedAt } = this.#before;
    this.#changes = { changesUp, changesDown, ...(last === undefined ? {} : { last }) };
    this.#pausedAt = pausedAt;
  }

  /** Nothing is changed until then, milliseconds since the epoch. */
  quietUntil(now: number): number {
    // A time to come is one of a clock that was set back.
    this.#pausedAt = Math.min(this.#pausedAt, now);
    const times = 2 ** Math.min(this.#failures, MOST_DOUBLINGS);
    return this.#pausedAt + this.rule.cooldownSeconds * 1_000 * times;
  }

  result(): ScalingResult {
    const { min, max } = this.rule;
    const percent = this.load.latest()?.percent;
    return {
      min,
      max,
      ...(percent === undefined ? {} : { cpuPercent: Math.round(percent * 10) / 10 }),
      atMaximum: isAtMaximum(this.rule, this.load, this.#replicas),
      ...(this.blocked === undefined ? {} : { blocked: this.blocked }),
      ...this.#changes,
    };
  }
}
