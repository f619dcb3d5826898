import { error, type Finding, type PathStep } from './finding.ts';
import { isPlaceholder, isSecretVariable, secretShape } from './secret-shapes.ts';

/** Where variables stand: by depth, for what is named `env` may be a service. */
function holdsVariables([, name, key, below, ...more]: readonly PathStep[]): boolean {
  if (name === undefined || more.length > 0) return false;
  if (below === undefined) return key === 'env' || key === 'buildEnv';
  return key === 'build' && below === 'args';
}

/** Finds secrets and placeholders that stand in the file. Looks at plain values, so that it works on faulty files too. */
export function* secretsInConfig(value: unknown): Generator<Finding> {
  yield* visit(value, [], false);
}

function* visit(
  value: unknown,
  path: readonly PathStep[],
  isVariables: boolean,
): Generator<Finding> {
  if (typeof value === 'string') {
    yield* textFindings(value, path, isVariables);
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* visit(item, [...path, index], false);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      const at = [...path, key];
      yield* visit(item, at, isVariables ? typeof item === 'string' : holdsVariables(at));
    }
  }
}

function* textFindings(
  text: string,
  path: readonly PathStep[],
  isVariable: boolean,
): Generator<Finding> {
  const shape = secretShape(text);
  if (shape !== undefined) {
    yield error('secret-in-config', path, `holds ${shape}: ${howToStore(path, isVariable)}`);
    return;
  }
  const name = String(path.at(-1) ?? '');
  if (!isVariable || text === '') return;
  if (isSecretVariable(name)) {
    yield error('secret-in-config', path, `holds a secret by its name: ${howToStore(path, true)}`);
  } else if (isPlaceholder(name, text)) {
    yield error('placeholder', path, `is a placeholder: ${howToStore(path, true)}`);
  }
}

function howToStore(path: readonly PathStep[], isVariable: boolean): string {
  if (isVariable && path.some((step) => step === 'buildEnv' || step === 'build')) {
    return 'a build keeps what it is given where others can read it: leave it out';
  }
  const name = isVariable ? String(path.at(-1)).toUpperCase() : 'NAME';
  const known = /^[A-Z][A-Z0-9_]*$/.test(name) ? name : 'NAME';
  return isVariable
    ? `write ${known} under secrets and store it with \`holdfast secrets set ${known}\``
    : `store it with \`holdfast secrets set ${known}\` and name it here`;
}
