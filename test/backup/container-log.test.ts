import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { helperArgv } from '../../installer/backup/helper-container.ts';
import { PACKAGE_ROOT } from '../support/component-input.ts';

t.test('the engine keeps no log of what a helper puts out', async (t) => {
  const argv = helperArgv({
    project: 'demo',
    task: 'backup-files',
    image: 'postgres',
    argv: ['tar', '--create'],
    volume: { name: 'demo_files', readOnly: true },
    capabilities: [],
  });
  t.match(argv.join(' '), / --log-driver none .* postgres --create$/);
});

t.test('whatever is run by hand says what becomes of its log', async (t) => {
  const files = globSync('installer/**/*.ts', { cwd: PACKAGE_ROOT });
  const running = files
    .map((file) => ({ file, text: readFileSync(join(PACKAGE_ROOT, file), 'utf8') }))
    .filter(({ text }) => /'docker',\s*(?:\.\.\.\[)?'run'/.test(text));
  t.ok(running.length >= 8);
  for (const { file, text } of running) {
    const runs = text.match(/'docker',\s*(?:\.\.\.\[)?'run'/g)?.length;
    const decided = text.match(/\.\.\.WITH(?:OUT|_SHORT)_LOG\b/g)?.length;
    t.equal(decided, runs, file);
  }
});
