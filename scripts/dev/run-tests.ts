import { spawn } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/**
 * Runs every check and adds up the assertions. A group that dies without a count is one failure,
 * so nothing can pass by not running.
 */
interface Group {
  readonly name: string;
  readonly argv: readonly [string, ...string[]];
  /** Prints tap's closing line, `# { total: 60, pass: 60 }`. */
  readonly counts: boolean;
}

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  /** What the group printed, when it failed. */
  readonly shown: string;
  /** Its failed assertions, each with where it stands and what was found. */
  readonly failures: readonly string[];
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
  'nginx/*.sh',
  'test/**/*.sh',
  '.ci/run',
]).sort();

const quick: readonly Group[] = [
  { name: 'lint', argv: ['npm', 'run', '--silent', 'lint'], counts: false },
  { name: 'typecheck', argv: ['npm', 'run', '--silent', 'typecheck'], counts: false },
  { name: 'docs are fresh', argv: ['npm', 'run', '--silent', 'docs:check'], counts: false },
  { name: 'shellcheck', argv: ['shellcheck', '--external-sources', ...shellFiles], counts: false },
  { name: 'unit', argv: tap([], '--timeout=600'), counts: true },
];
const real: readonly Group[] = integrationFiles.map((file) => ({
  name: file,
  argv: tap([file], '--jobs=1', '--timeout=3600'),
  counts: true,
}));

/** Builds all images of the platform, which the others then find. */
const BUILDS_IMAGES = 'test/integration/images.test.ts';
/** Whole servers on this machine take its ports 80 and 443 and its subnets: one at a time. */
const isServer = imports('support/(appliance|deploy-lab|rt-lab)');
/** Servers in containers of their own bring engine and images along. They take longest, so they come first. */
const isMachine = imports('support/machine');

const LINES_OF_A_FAILURE = 30;
const CHARACTERS_OF_A_LINE = 400;

let passed = 0;
let failed = 0;
const failures: string[] = [];
if (process.argv.includes('--unit')) await inTurn([...quick]);
else await inLanes();
// Once more at the end, where who reads only the last lines finds them.
for (const failure of failures) process.stdout.write(`${failure}\n`);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

/** Much of an integration test is waiting: three side by side keep two processors busy. */
async function inLanes(): Promise<void> {
  const buildsImages = ({ name }: Group): boolean => name === BUILDS_IMAGES;
  const others = real.filter(
    (group) => !buildsImages(group) && !isServer(group) && !isMachine(group),
  );
  const built = inTurn(real.filter(buildsImages));
  const lanes = [
    Promise.all([inTurn([...quick]), built]),
    built.then(() => inTurn(real.filter(isServer))),
    Promise.all([inTurn(real.filter(isMachine)), built]),
  ];
  await Promise.all(lanes.map((lane) => lane.then(() => inTurn(others))));
}

function imports(modules: string): (group: Group) => boolean {
  const pattern = new RegExp(`${modules}\\.ts`);
  return ({ name }) => pattern.test(readFileSync(name, 'utf8'));
}

/** Takes one after the other off the list, which several may share. */
async function inTurn(groups: Group[]): Promise<void> {
  for (let next = groups.shift(); next !== undefined; next = groups.shift()) await runAndSay(next);
}

async function runAndSay(group: Group): Promise<void> {
  const started = Date.now();
  const outcome = await run(group);
  passed += outcome.passed;
  failed += outcome.failed;
  failures.push(...outcome.failures.map((failure) => `--- ${group.name}: ${failure}`));
  const seconds = Math.round((Date.now() - started) / 1000);
  process.stdout.write(
    `==> ${group.name}\n${outcome.shown}    ${outcome.passed} passed, ${outcome.failed} failed (${seconds} s)\n`,
  );
}

async function run({ argv, counts }: Group): Promise<Outcome> {
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
  const text = exitCode === 0 ? '' : `${shown.slice(-400).join('\n')}\n`;
  if (!counts) {
    const failed = exitCode === 0 ? 0 : 1;
    return { passed: 1 - failed, failed, shown: text, failures: failed === 0 ? [] : ['failed'] };
  }
  const { pass = 0, fail = 0 } = summary ?? {};
  const diedUncounted = exitCode !== 0 && fail === 0;
  return {
    passed: pass,
    failed: fail + (diedUncounted || pass + fail === 0 ? 1 : 0),
    shown: text,
    failures: exitCode === 0 ? [] : failedAssertions(shown, exitCode),
  };
}

/** The innermost `not ok` of each failure; the tests and files around it only say that something in them failed. */
function failedAssertions(lines: readonly string[], exitCode: number): string[] {
  const found = lines.flatMap((line, index) => {
    if (!/^\s*not ok/.test(line) || /# time=[\d.]+ms$/.test(line)) return [];
    const block = lines.slice(index, index + LINES_OF_A_FAILURE);
    const end = block.findIndex((one) => /^\s*\.\.\.$/.test(one));
    const whole = block.slice(0, end < 0 ? block.length : end);
    return [whole.map((one) => one.slice(0, CHARACTERS_OF_A_LINE)).join('\n')];
  });
  return found.length > 0 ? found : [`exit code ${exitCode} without a failed assertion`];
}

function closingLine(line: string): { pass: number; fail: number } | undefined {
  const match = /^# \{ total: \d+.* \}$/.exec(line);
  if (match === null) return undefined;
  const number = (word: string) => Number(new RegExp(`${word}: (\\d+)`).exec(line)?.[1] ?? 0);
  return { pass: number('pass'), fail: number('fail') + number('skip') + number('todo') };
}
