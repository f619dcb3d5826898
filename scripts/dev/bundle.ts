import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/**
 * Puts a program of a few dozen modules into one CommonJS file. For the resident agent only: as modules it
 * takes 3 MB more memory (measured), which the loader keeps for each of them. It knows the forms of import
 * and export that the agent uses and refuses every other one.
 *
 * `META_URL` in the result is what `import.meta.url` of the entry was.
 */
export function bundle(root: string, entry: string): string {
  const modules = new Map<string, string>();
  collect(join(root, entry), modules, new Set());
  const parts = [...modules].map(([path, source]) => {
    const id = relative(root, path);
    const isEntry = id === entry;
    return `M[${JSON.stringify(id)}] = (${isEntry ? 'async ' : ''}() => {\n${asFunction(root, path, source)}\n})();\n`;
  });
  const header = [
    "'use strict';",
    `const META_URL = 'file://' + __dirname + ${JSON.stringify(`/${entry}`)};`,
    'const M = {};\n',
  ].join('\n');
  return header + parts.join('');
}

const IMPORT = /^import\s+\{([^}]*)\}\s+from\s+'([^']+)';/gm;
const EXPORT = /^export\s+(?=(?:async\s+function\*?|function\*?|const|class)\s+(\w+))/gm;

/** Depth first, so that each module stands after what it needs. */
function collect(path: string, modules: Map<string, string>, open: Set<string>): void {
  if (modules.has(path)) return;
  if (open.has(path)) throw new Error(`${path} imports itself by a detour`);
  open.add(path);
  const source = readFileSync(path, 'utf8');
  for (const [, , from = ''] of source.matchAll(IMPORT)) {
    if (from.startsWith('.')) collect(join(dirname(path), from), modules, open);
  }
  modules.set(path, source);
}

function asFunction(root: string, path: string, source: string): string {
  const names: string[] = [];
  const body = source
    .replace(IMPORT, (_all, list: string, from: string) => {
      const wanted = list.replaceAll(/\s+/g, ' ').replaceAll(/(\w+) as (\w+)/g, '$1: $2');
      return from.startsWith('node:')
        ? `const {${wanted}} = process.getBuiltinModule('${from}');`
        : `const {${wanted}} = M[${JSON.stringify(relative(root, join(dirname(path), from)))}];`;
    })
    .replace(EXPORT, (_all, name: string) => {
      names.push(name);
      return '';
    })
    .replaceAll('import.meta.url', 'META_URL');
  const left = /^(?:import|export)\b.*$/m.exec(body)?.[0];
  if (left !== undefined) throw new Error(`${path}: the bundle cannot hold \`${left}\``);
  return `${body}\nreturn { ${names.join(', ')} };`;
}
