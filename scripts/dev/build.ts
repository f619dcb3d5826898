import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.ts';

/**
 * Turns the sources into `dist/` with Node's own type stripping: no compiler is needed on a server, and
 * lines and columns stay those of the source, so that a stack trace needs no source map.
 */
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const dist = join(root, 'dist');
const fresh = join(root, `.dist-${process.pid}`);

for (const folder of ['installer', 'agent']) {
  for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
    const source = join(entry.parentPath, entry.name);
    const target = join(fresh, source.slice(root.length)).replace(/\.ts$/, '.js');
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, javaScript(readFileSync(source, 'utf8')));
  }
}
writeFileSync(join(fresh, 'agent.cjs'), bundle(fresh, 'agent/main.js'));
rmSync(dist, { recursive: true, force: true });
renameSync(fresh, dist);

function javaScript(source: string): string {
  const stripped = stripTypeScriptTypes(source, { mode: 'strip' });
  return stripped.replace(/(from\s+|import\s*\(?\s*)(['"])(\.{1,2}\/[^'"]+)\.ts\2/g, '$1$2$3.js$2');
}
