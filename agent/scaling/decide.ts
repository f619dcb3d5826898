import type { ScalingRule } from '../../installer/model/agent-settings.ts';
import { type LoadWindow, mean } from './load-window.ts';

/** Times in milliseconds since the epoch. */
export interface ScalingSituation {
  readonly replicas: number;
  /** The pause after a change lasts until then. */
  readonly quietUntil: number;
  readonly now: number;
}

export interface ScalingWish {
  readonly direction: 'up' | 'down';
  readonly replicas: number;
  /** One phrase for the audit log. */
  readonly reason: string;
}

/** After a replica less, those that stay must keep clear of the load at which one more is asked for. */
const CLEAR_OF_SCALE_UP = 0.9;

/**
 * The number of replicas that the load asks for; undefined when it stays. A load that comes and goes asks for
 * nothing: each third of the whole time has to be past the mark.
 */
export function scalingWish(
  rule: ScalingRule,
  load: LoadWindow,
  { replicas, quietUntil, now }: ScalingSituation,
): ScalingWish | undefined {
  const { min, max, scaleUp, scaleDown } = rule;
  if (now < quietUntil || replicas < 1) return undefined;
  const high = load.thirds(scaleUp.forSeconds);
  if (high?.every((percent) => percent >= scaleUp.cpuPercent)) {
    const wanted = Math.min(max, replicas + scaleUp.step);
    if (wanted <= replicas) return undefined;
    return {
      direction: 'up',
      replicas: wanted,
      reason: reasonOf(high, scaleUp.forSeconds, '≥', scaleUp.cpuPercent),
    };
  }
  const low = load.thirds(scaleDown.forSeconds);
  if (low?.every((percent) => percent <= scaleDown.cpuPercent)) {
    const wanted = Math.max(min, replicas - scaleDown.step);
    if (wanted >= replicas) return undefined;
    const expected = ((mean(low) ?? 0) * replicas) / wanted;
    if (expected > scaleUp.cpuPercent * CLEAR_OF_SCALE_UP) return undefined;
    return {
      direction: 'down',
      replicas: wanted,
      reason: reasonOf(low, scaleDown.forSeconds, '≤', scaleDown.cpuPercent),
    };
  }
  return undefined;
}

/** Whether the load asks for more than the most that is allowed. */
export function isAtMaximum(rule: ScalingRule, load: LoadWindow, replicas: number): boolean {
  const { max, scaleUp } = rule;
  const high = load.thirds(scaleUp.forSeconds);
  return replicas >= max && high?.every((percent) => percent >= scaleUp.cpuPercent) === true;
}

function reasonOf(thirds: readonly number[], seconds: number, sign: string, mark: number): string {
  return `CPU ${Math.round(mean(thirds) ?? 0)} % for ${seconds} s (${sign} ${mark} %)`;
}
