import { rules } from '../components/rules/all.ts';
import { declaredNames } from '../components/rules/declared.ts';
import type { Finding } from '../components/rules/finding.ts';
import { mergeProfiles, resolveConfig } from '../components/rules/resolve.ts';
import { secretsInConfig } from '../components/rules/secrets.ts';
import { type Config, type ConfigFile, configFile } from '../components/sections.ts';
import { expectedPhrase, explainIssues, type Fault } from './explain.ts';
import { isRecord } from './is-record.ts';
import { formatPath, type Problem } from './problem.ts';
import { prune, touches } from './prune.ts';
import { readYaml } from './read-yaml.ts';
import type { PlainTree } from './yaml-tree.ts';

export type LoadResult =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly Problem[] }
  | {
      readonly ok: false;
      readonly problems: readonly Problem[];
      readonly warnings: readonly Problem[];
    };

/** More problems than a person reads; it also bounds the time that a hostile file costs. */
const MAX_PROBLEMS = 200;
/** Each round takes one level of faults away: a required key that was pruned makes its parent faulty. */
const MAX_PRUNINGS = 8;

/**
 * Reads and checks a config. Pure: no file, clock or network. All problems at once, in the order of the text.
 *
 * @param text the file's text or bytes
 * @param file its name as the user gave it, for the problems
 */
export function loadConfig(text: string | Uint8Array, file: string): LoadResult {
  const read = readYaml(text, file);
  if (!read.ok) return { ok: false, problems: read.problems, warnings: [] };
  const { tree } = read;
  if (!isRecord(tree.value)) {
    const message =
      tree.value === null
        ? 'is empty: needs at least version, domain, contact and a service'
        : 'expected a mapping of sections at the top level';
    const problem = { file, path: '', line: 1, column: 1, code: 'config/empty', message } as const;
    return { ok: false, problems: [{ ...problem, severity: 'error' }], warnings: [] };
  }

  const { parsed, faults } = readTypes(tree.value);
  const secrets = [...secretsInConfig(tree.value)];
  const shown = new Set(secrets.map(({ path }) => formatPath(path)));
  // A secret in the wrong place is one problem, not two.
  const shapes = faults.filter(({ path }) => !shown.has(formatPath(path)));
  const holes = tree.holes.map((path) => ({ path }));
  const findings = [...secrets, ...shapes].filter((finding) => !touches(finding, holes));
  const config = parsed === undefined ? undefined : resolveConfig(parsed);
  const blind = [...faults, ...holes];
  if (parsed !== undefined && config !== undefined) {
    const input = {
      file: parsed,
      merged: mergeProfiles(parsed),
      config,
      declared: declaredNames(tree.value),
    };
    for (const rule of rules) {
      for (const finding of rule(input)) if (!touches(finding, blind)) findings.push(finding);
    }
  }
  const errors = inOrder([...tree.problems, ...place(findings, 'error', tree, file)]);
  const warnings = place(findings, 'warning', tree, file);
  return errors.length > 0 || config === undefined
    ? { ok: false, problems: errors, warnings }
    : { ok: true, config, warnings };
}

interface Types {
  /** Undefined when nothing sound could be made of the file. */
  readonly parsed: ConfigFile | undefined;
  readonly faults: readonly Fault[];
}

function readTypes(value: unknown): Types {
  const first = check(value);
  if (first.success) return { parsed: first.data, faults: [] };
  const faults = explainIssues(first.error.issues);
  let removed = faults;
  for (let round = 0; round < MAX_PRUNINGS; round += 1) {
    const again = check(prune(value, removed));
    if (again.success) return { parsed: again.data, faults };
    removed = [...removed, ...explainIssues(again.error.issues)];
  }
  return { parsed: undefined, faults };
}

function check(value: unknown) {
  return configFile.safeParse(value, { reportInput: true, error: expectedPhrase });
}

function place(
  findings: readonly Finding[],
  severity: Finding['severity'],
  tree: PlainTree,
  file: string,
): Problem[] {
  const wanted = findings.filter((finding) => finding.severity === severity);
  const problems = wanted.slice(0, MAX_PROBLEMS).map((finding): Problem => {
    const { line, column } = tree.place(finding.path, finding.at ?? 'value');
    const { message } = finding;
    const code = `config/${finding.code}` as const;
    return { file, path: formatPath(finding.path), line, column, code, message, severity };
  });
  const ordered = inOrder(problems);
  if (wanted.length > MAX_PROBLEMS) {
    const message = `and ${wanted.length - MAX_PROBLEMS} more like these`;
    ordered.push({ file, path: '', line: 0, column: 0, code: 'config/more', message, severity });
  }
  return ordered;
}

function inOrder(problems: readonly Problem[]): Problem[] {
  const last = Number.POSITIVE_INFINITY;
  return [...problems].sort(
    (left, right) => (left.line || last) - (right.line || last) || left.column - right.column,
  );
}
