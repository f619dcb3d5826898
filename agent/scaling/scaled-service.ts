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
  /** Nothing is changed until then, milliseconds since the epoch. */
  quietUntil = 0;
  #ids = '';
  #replicas = 0;
  #failures = 0;
  #changes: Pick<ScalingResult, 'changesUp' | 'changesDown' | 'last'>;

  constructor(name: string, rule: ScalingRule, before: ScalingResult | undefined) {
    this.name = name;
    this.rule = rule;
    this.load = new LoadWindow(Math.max(rule.scaleUp.forSeconds, rule.scaleDown.forSeconds));
    const { changesUp = 0, changesDown = 0, last } = before ?? {};
    this.#changes = { changesUp, changesDown, ...(last === undefined ? {} : { last }) };
    if (last !== undefined) this.quietUntil = Date.parse(last.at) + rule.cooldownSeconds * 1_000;
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
    this.#pauseFrom(now);
    const { changesUp, changesDown } = this.#changes;
    this.#changes = {
      changesUp: changesUp + Number(change.to > change.from),
      changesDown: changesDown + Number(change.to < change.from),
      last: { at: new Date(now).toISOString(), ...change },
    };
  }

  ended(ok: boolean, now: number): void {
    this.#failures = ok ? 0 : this.#failures + 1;
    this.#pauseFrom(now);
    const { last } = this.#changes;
    if (last !== undefined) this.#changes = { ...this.#changes, last: { ...last, ok } };
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

  #pauseFrom(now: number): void {
    const times = 2 ** Math.min(this.#failures, MOST_DOUBLINGS);
    this.quietUntil = now + this.rule.cooldownSeconds * 1_000 * times;
  }
}
