import type { Finding, PathStep } from '../components/rules/finding.ts';
import type { Fault } from './explain.ts';
import { isRecord } from './is-record.ts';

/** Stand-ins for the keys that a config cannot do without, so that the rest can still be looked at. */
const STAND_INS: Readonly<Record<string, unknown>> = {
  version: 1,
  domain: 'app.stand-in.net',
  contact: 'nobody@stand-in.net',
};

/**
 * A copy of a faulty config without the faulty parts. The cross-key rules run on it, so that one wrong word
 * does not hide what else is wrong. A faulty item takes its whole list along: indices must keep their meaning.
 */
export function prune(value: unknown, faults: readonly Fault[]): unknown {
  if (!isRecord(value)) return { ...STAND_INS };
  const copy: Record<string, unknown> = structuredClone(value);
  for (const fault of faults) remove(copy, fault);
  for (const [key, standIn] of Object.entries(STAND_INS)) copy[key] ??= standIn;
  return copy;
}

function remove(root: Record<string, unknown>, fault: Fault): void {
  // What is missing cannot be taken away; what lacks it can.
  let path = fault.code === 'missing' ? fault.path.slice(0, -1) : fault.path;
  while (typeof path.at(-1) === 'number') path = path.slice(0, -1);
  const key = path.at(-1);
  if (key === undefined) return;
  const parent = valueAt(root, path.slice(0, -1));
  if (!isRecord(parent)) return;
  // A misspelt key counts as the one that was meant, or what lacks it would be reported as well.
  if (fault.meant !== undefined) parent[fault.meant] ??= parent[key];
  delete parent[key];
}

function valueAt(root: unknown, path: readonly PathStep[]): unknown {
  let value = root;
  for (const step of path) {
    if (Array.isArray(value) && typeof step === 'number') value = value[step];
    else if (isRecord(value) && Object.hasOwn(value, step)) value = value[step];
    else return undefined;
  }
  return value;
}

/** Whether a finding is about something that was pruned, so that the pruning itself may have caused it. */
export function touches(finding: Finding, faults: readonly Pick<Finding, 'path'>[]): boolean {
  return faults.some((fault) => {
    const shorter = Math.min(fault.path.length, finding.path.length);
    return fault.path.slice(0, shorter).every((step, index) => step === finding.path[index]);
  });
}
