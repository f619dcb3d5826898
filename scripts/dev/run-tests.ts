import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { createInterface } from 'node:readline';

/**
 * Runs every check in order and adds up the assertions. A group that dies without a count is one failure,
 * so nothing can pass by not running.
 */
interface Group {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  /** Prints tap's closing line, `# { total: 60, pass: 60 }`. */
  readonly counts: boolean;
}

const tap = (files: readonly string[], ...flags: string[]): readonly [string, ...string[]] => [
  'npx',
  'tap',
  'run',
  '--reporter=tap',
  ...flags,
  ...files,
];

const integrationFiles = globSync('test/integration/**/*.test.ts').sort();
const shellFiles = globSync([
  'scripts/**/*.sh',
  'images/**/*.sh',
  'test/**/*.sh',
  '.ci/run',
]).sort();

const quick: readonly Group[] = [
  { name: 'lint', argv: ['npm', 'run', '--silent', 'lint'], counts: false },
  { name: 'typecheck', argv: ['npm', 'run', '--silent', 'typecheck'], counts: false },
  { name: 'docs are fresh', argv: ['npm', 'run', '--silent', 'docs:check'], counts: false },
  { name: 'shellcheck', argv: ['shellcheck', '--external-sources', ...shellFiles], counts: false },
  { name: 'unit', argv: tap([]), counts: true },
];
const real: readonly Group[] = integrationFiles.map((file) => ({
  name: file,
  argv: tap([file], '--jobs=1', '--timeout=1500'),
  counts: true,
}));

let passed = 0;
let failed = 0;
for (const group of process.argv.includes('--unit') ? quick : [...quick, ...real]) {
  const started = Date.now();
  process.stdout.write(`==> ${group.name}\n`);
  const outcome = await run(group);
  passed += outcome.passed;
  failed += outcome.failed;
  const seconds = Math.round((Date.now() - started) / 1000);
  process.stdout.write(`    ${outcome.passed} passed, ${outcome.failed} failed (${seconds} s)\n`);
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

async function run({ argv, counts }: Group): Promise<{ passed: number; failed: number }> {
  const [program, ...args] = argv;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  let summary: { pass: number; fail: number } | undefined;
  const shown: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (counts) {
      summary = closingLine(line) ?? summary;
      if (!/^\s*(ok|# Subtest|1\.\.|$)/.test(line)) shown.push(line);
    } else {
      shown.push(line);
    }
  }
  const exitCode = await closed;
  if (exitCode !== 0) process.stdout.write(`${shown.slice(-400).join('\n')}\n`);
  if (!counts) return exitCode === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  const { pass = 0, fail = 0 } = summary ?? {};
  const diedUncounted = exitCode !== 0 && fail === 0;
  return { passed: pass, failed: fail + (diedUncounted || pass + fail === 0 ? 1 : 0) };
}

function closingLine(line: string): { pass: number; fail: number } | undefined {
  const match = /^# \{ total: \d+.* \}$/.exec(line);
  if (match === null) return undefined;
  const number = (word: string) => Number(new RegExp(`${word}: (\\d+)`).exec(line)?.[1] ?? 0);
  return { pass: number('pass'), fail: number('fail') + number('skip') + number('todo') };
}
