import type { z } from 'zod';
import type { Finding, PathStep } from '../components/rules/finding.ts';
import { nearest } from '../components/rules/nearest.ts';
import { secretShape } from '../components/rules/secret-shapes.ts';
import { isRecord } from './is-record.ts';
import { keysAt } from './json-schema.ts';
import { quoted } from './problem.ts';

type Issue = z.core.$ZodIssue;

/** Unknown keys of one mapping that get a suggestion: finding one takes time. */
const MAX_HINTS = 50;

/** A finding about the shape of the file. */
export interface Fault extends Finding {
  /** For an unknown key: the key beside it that was most likely meant. */
  readonly meant?: string | undefined;
}

/** The one place that turns what zod found into sentences. */
export function explainIssues(issues: readonly Issue[]): Fault[] {
  return issues.flatMap((issue) => explain(issue, []));
}

/**
 * Phrases for what zod finds by itself; the builders in `fields.ts` bring their own. Given to `safeParse`,
 * so that each issue's message is what comes after the word "expected".
 */
export function expectedPhrase(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return TYPE_PHRASES[String(issue['expected'])] ?? String(issue['expected']);
    case 'invalid_value':
      return oneOf(issue['values']);
    default:
      return 'another value';
  }
}

const TYPE_PHRASES: Readonly<Record<string, string>> = {
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

function oneOf(values: unknown): string {
  const words = Array.isArray(values) ? values.map(String) : [];
  return words.length === 1 ? `${words[0]}` : `one of ${words.join(', ')}`;
}

function explain(issue: Issue, above: readonly PathStep[]): Fault[] {
  const path = [...above, ...issue.path.map(toStep)];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key, index) => unknownKey(path, key, index < MAX_HINTS));
    case 'invalid_key': {
      const phrase = issue.issues[0]?.message ?? 'another name';
      const name = String(path.at(-1) ?? '');
      const message = `expected ${phrase}, got ${quoted(name)}`;
      return [{ path, at: 'key', code: 'name', message, severity: 'error' }];
    }
    case 'invalid_union': {
      if (typeof issue.discriminator === 'string' && path.at(-1) === issue.discriminator) {
        const word = isRecord(issue.input) ? issue.input[issue.discriminator] : undefined;
        return [wrongValue(path, issue.message, word, false)];
      }
      const branch = fittingBranch(issue);
      if (branch.length > 0) return branch.flatMap((nested) => explain(nested, path));
      return [wrongValue(path, issue.message, issue.input, false)];
    }
    default:
      return [wrongValue(path, issue.message, issue.input, hidesValue(issue))];
  }
}

/** The form that the user meant: the one that the value has the right kind for. */
function fittingBranch(issue: Extract<Issue, { code: 'invalid_union' }>): readonly Issue[] {
  const branches: readonly (readonly Issue[])[] = issue.errors;
  const isContainer = typeof issue.input === 'object' && issue.input !== null;
  const rightKind = branches.filter(
    (branch) =>
      !branch.some((nested) => nested.path.length === 0 && nested.code === 'invalid_type'),
  );
  if (isContainer) {
    const inside = rightKind.find((branch) => branch.every(looksInside));
    return inside ?? (issue.message === 'another value' ? (rightKind[0] ?? []) : []);
  }
  // A scalar has one message for all forms, if the union has a phrase; else that of its scalar form.
  if (issue.message !== 'another value') return [];
  const scalar = branches.find((branch) => !expectsContainer(branch));
  return rightKind[0] ?? scalar ?? [];
}

/** The form takes such a container, and something in it is wrong. */
function looksInside(nested: Issue): boolean {
  return nested.path.length > 0 || nested.code === 'unrecognized_keys';
}

function expectsContainer(branch: readonly Issue[]): boolean {
  return branch.some(
    (nested) =>
      nested.path.length === 0 &&
      nested.code === 'invalid_type' &&
      ['object', 'array', 'record'].includes(nested.expected),
  );
}

function unknownKey(path: readonly PathStep[], key: string, withHint: boolean): Fault {
  const known = withHint ? keysAt(path) : [];
  const meant = nearest(key, known);
  let hint = meant === undefined ? inside(path, key, known) : ` (did you mean ${meant}?)`;
  if (key === '<<') hint = MERGE_HINT;
  return {
    path: [...path, key],
    at: 'key',
    code: 'unknown-key',
    message: `unknown key${hint}`,
    severity: 'error',
    meant,
  };
}

const MERGE_HINT = ' (YAML 1.2 has no merge keys: put shared settings in a profile)';

/** Where a key that stands one level too high belongs. */
function inside(path: readonly PathStep[], key: string, siblings: readonly string[]): string {
  const home = siblings.find((sibling) => keysAt([...path, sibling]).includes(key));
  return home === undefined ? '' : ` (did you mean ${home}.${key}?)`;
}

function wrongValue(
  path: readonly PathStep[],
  expected: string,
  input: unknown,
  hideValue: boolean,
): Finding {
  if (input === undefined) {
    return {
      path,
      at: 'key',
      code: 'missing',
      message: `is missing: expected ${expected}`,
      severity: 'error',
    };
  }
  const hint = input === null && expected === 'a mapping' ? ': write {} for the defaults' : '';
  const message = `expected ${expected}, got ${describe(input, hideValue)}${hint}`;
  return { path, code: 'wrong-value', message, severity: 'error' };
}

/** What was found, never more of it than is safe to show. */
function describe(value: unknown, hideValue: boolean): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') {
    if (value === '') return 'empty text';
    return hideValue || secretShape(value) !== undefined
      ? 'something else (not shown)'
      : quoted(value);
  }
  if (hideValue) return `a ${typeof value}`;
  return String(value);
}

function hidesValue(issue: Issue): boolean {
  return issue.code === 'custom' && issue.params?.['hideValue'] === true;
}

function toStep(step: PropertyKey): PathStep {
  return typeof step === 'number' ? step : String(step);
}
