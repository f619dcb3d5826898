import { spawn } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';

/**
 * Runs every check and adds up the assertions. A group that dies without a count is one failure,
 * so nothing can pass by not running.
 */
interface Group {
  readonly name: string;
  readonly commands: readonly Command[];
}

interface Command {
  readonly argv: readonly [string, ...string[]];
  /** Present for a test file, which ends itself after so long and closes with `# { total: 60, pass: 60 }`. */
  readonly timeoutSeconds?: number;
}

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  /** What the group printed, when it failed. */
  readonly shown: string;
  /** Its failed assertions, each with where it stands and what was found. */
  readonly failures: readonly string[];
}

/**
 * Test files are programs of their own. tap's runner would start three more processes for each, and runs side
 * by side would clear one another's `.tap` folder.
 */
const testFiles = (files: readonly string[], timeoutSeconds: number): Command => ({
  argv: [process.execPath, 'scripts/dev/run-files.ts', ...files],
  timeoutSeconds,
});
const check = (name: string, ...argv: [string, ...string[]]): Group => ({
  name,
  commands: [{ argv }],
});

const integrationFiles = globSync('test/integration/**/*.test.ts').sort();
const shellFiles = globSync([
  'scripts/**/*.sh',
  'images/**/*.sh',
  'nginx/*.sh',
  'test/**/*.sh',
  'bench/**/*.sh',
  '.ci/run',
]).sort();

/** Unit tests that share a process: to load the program takes longer than most of them do. */
const FILES_OF_A_BATCH = 14;
const unitFiles = globSync('test/**/*.test.ts', { exclude: ['test/integration/**'] }).sort();
const quick: readonly Group[] = [
  check('lint', 'npm', 'run', '--silent', 'lint'),
  check('typecheck', 'npm', 'run', '--silent', 'typecheck'),
  check('docs are fresh', 'npm', 'run', '--silent', 'docs:check'),
  check('shellcheck', 'shellcheck', '--external-sources', ...shellFiles),
  { name: 'unit', commands: batches(unitFiles).map((files) => testFiles(files, 600)) },
];
const real: readonly Group[] = integrationFiles.map((file) => ({
  name: file,
  commands: [testFiles([file], 3600)],
}));

/** Builds all images of the platform, which the others then find. */
const BUILDS_IMAGES = 'test/integration/images.test.ts';
/** Whole servers on this machine take its ports 80 and 443 and its subnets: one at a time. */
const isServer = imports('support/(appliance|deploy-lab|rt-lab)');
/** Servers in containers of their own bring engine and images along, which takes long: they do not come last. */
const isMachine = imports('support/machine');
/** Takes as long as all servers on this machine together: from the first second on. */
const LONGEST = 'test/integration/appliance.test.ts';

const BUSY_PERCENT = 50;
const LOOK_MILLISECONDS = 5_000;
/** Of one group. */
const COMMANDS_SIDE_BY_SIDE = 2;
/** tap itself waits ten seconds for a file that is over its time. */
const KILL_AFTER_SECONDS = 60;
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

/**
 * Much of an integration test is waiting, so three side by side keep two processors busy. Where two do that already,
 * a third makes all of them slower: whatever runs in the background of each server takes its share.
 */
async function inLanes(): Promise<void> {
  const chosen = [BUILDS_IMAGES, LONGEST];
  const rest = real.filter((group) => !chosen.includes(group.name) && !isServer(group));
  const others = [...rest.filter(isMachine), ...rest.filter((group) => !isMachine(group))];
  const only = (wanted: string) => inTurn(real.filter(({ name }) => name === wanted));
  const built = only(BUILDS_IMAGES);
  await Promise.all([
    Promise.all([inTurn([...quick]), built]).then(() => inTurn(others, untilIdle)),
    built.then(() => inTurn(real.filter(isServer))).then(() => inTurn(others)),
    Promise.all([only(LONGEST), built]).then(() => inTurn(others)),
  ]);
}

function batches(files: readonly string[]): string[][] {
  const count = Math.ceil(files.length / FILES_OF_A_BATCH);
  return Array.from({ length: count }, (_, batch) =>
    files.slice(batch * FILES_OF_A_BATCH, (batch + 1) * FILES_OF_A_BATCH),
  );
}

function imports(modules: string): (group: Group) => boolean {
  const pattern = new RegExp(`${modules}\\.ts`);
  return ({ name }) => pattern.test(readFileSync(name, 'utf8'));
}

/** Takes one after the other off the list, which several may share. */
async function inTurn(
  groups: Group[],
  before: (groups: readonly Group[]) => Promise<void> = async () => undefined,
): Promise<void> {
  for (;;) {
    await before(groups);
    const next = groups.shift();
    if (next === undefined) return;
    await runAndSay(next);
  }
}

async function untilIdle(groups: readonly Group[]): Promise<void> {
  while (groups.length > 0 && waitingPercent() > BUSY_PERCENT) await wait(LOOK_MILLISECONDS);
}

/** How much of the last minute something waited for a processor; 0 where the kernel does not tell. */
function waitingPercent(): number {
  const file = '/proc/pressure/cpu';
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  return Number(/^some .*avg60=([\d.]+)/m.exec(text)?.[1] ?? 0);
}

async function runAndSay({ name, commands }: Group): Promise<void> {
  const started = Date.now();
  const outcomes: Outcome[] = [];
  const waiting = [...commands];
  const runNext = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      outcomes.push(await run(next));
    }
  };
  await Promise.all(Array.from({ length: COMMANDS_SIDE_BY_SIDE }, runNext));
  const sum = (count: (outcome: Outcome) => number) =>
    outcomes.reduce((total, outcome) => total + count(outcome), 0);
  const [ownPassed, ownFailed] = [sum((one) => one.passed), sum((one) => one.failed)];
  passed += ownPassed;
  failed += ownFailed;
  failures.push(...outcomes.flatMap((one) => one.failures));
  const shown = outcomes.map((one) => one.shown).join('');
  const seconds = Math.round((Date.now() - started) / 1000);
  process.stdout.write(
    `==> ${name}\n${shown}    ${ownPassed} passed, ${ownFailed} failed (${seconds} s)\n`,
  );
}

async function run({ argv, timeoutSeconds }: Command): Promise<Outcome> {
  const [program, ...args] = argv;
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env:
      timeoutSeconds === undefined
        ? process.env
        : { ...process.env, TAP_TIMEOUT: String(timeoutSeconds) },
  });
  const closed = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  const isTest = timeoutSeconds !== undefined;
  const hung = isTest
    ? setTimeout(() => child.kill('SIGKILL'), (timeoutSeconds + KILL_AFTER_SECONDS) * 1000)
    : undefined;
  let summary: { pass: number; fail: number } | undefined;
  const shown: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    summary = closingLine(line) ?? summary;
    if (!isTest || !/^\s*(ok|# Subtest|1\.\.|$)/.test(line)) shown.push(line);
  }
  const exitCode = await closed;
  clearTimeout(hung);
  const heading = isTest ? argv.slice(2).join(' ') : program;
  const text = exitCode === 0 ? '' : `${heading}\n${shown.slice(-400).join('\n')}\n`;
  if (!isTest) {
    const failed = exitCode === 0 ? 0 : 1;
    return {
      passed: 1 - failed,
      failed,
      shown: text,
      failures: failed === 0 ? [] : [`--- ${argv.slice(0, 4).join(' ')}: failed`],
    };
  }
  const { pass = 0, fail = 0 } = summary ?? {};
  const diedUncounted = exitCode !== 0 && fail === 0;
  return {
    passed: pass,
    failed: fail + (diedUncounted || pass + fail === 0 ? 1 : 0),
    shown: text,
    failures:
      exitCode === 0
        ? []
        : failedAssertions(shown, exitCode).map((one) => `--- ${heading}: ${one}`),
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
