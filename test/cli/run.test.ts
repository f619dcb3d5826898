import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import type { CommandSpec } from '../../installer/cli/command.ts';
import { completionScript } from '../../installer/cli/completion.ts';
import { JSON_ANSWERS } from '../../installer/cli/json-answers.ts';
import { wholeNumber } from '../../installer/cli/parse.ts';
import { commandTable } from '../../installer/cli/table.ts';
import { AppError } from '../../installer/errors.ts';
import { runCommand } from '../support/cli.ts';
import { PACKAGE_ROOT } from '../support/component-input.ts';

/** Long after Node has begun to run the program. */
const BEGUN_MS = 3_000;

const command = (name: string, more: Partial<CommandSpec> = {}): CommandSpec => ({
  name,
  summary: `Does ${name}.`,
  example: `holdfast ${name}`,
  run: async () => 0,
  ...more,
});

const TABLE = [
  command('go', {
    positionals: 'PLACE',
    minPositionals: 1,
    options: { fast: { type: 'boolean', description: 'Hurry.' } },
    run: async (args, { io }) => {
      io.out(`${args.positionals[0]} ${args.flag('fast')}`);
      return 0;
    },
  }),
  command('tea make'),
  command('tea drink'),
  command('break', {
    run: async () => {
      throw new AppError({
        code: 'engine/unreachable',
        what: 'the engine does not answer',
        why: 'no such socket\nsecond line',
        hint: 'holdfast doctor',
      });
    },
    options: { json: { type: 'boolean', description: 'JSON.' } },
  }),
  command('crash', {
    run: async () => {
      throw new TypeError('undefined is not a function');
    },
  }),
];

t.test('a command gets its arguments and gives its exit code', async (t) => {
  t.match(await runCommand(['go', 'home', '--fast'], TABLE), { exitCode: 0, stdout: 'home true' });
  t.match(await runCommand(['--version'], TABLE), { exitCode: 0, stdout: '1.2.3\n' });
});

t.test('usage mistakes: exit code 2, what is wrong, the next command, no stack', async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /^$/],
    [['fly'], /There is no command "fly"/],
    [['brea'], /did you mean "break"/],
    [['tea'], /"holdfast tea" needs one of: make, drink/],
    [['go'], /takes PLACE, got none/],
    [['go', 'a', 'b'], /takes PLACE, got "a" "b"/],
    [['go', 'a', '--quick'], /Unknown option '--quick'/],
  ];
  for (const [argv, message] of cases) {
    const { exitCode, stderr } = await runCommand(argv, TABLE);
    t.equal(exitCode, 2, argv.join(' '));
    t.match(stderr, message, argv.join(' '));
    t.notMatch(stderr, /\n {4}at /);
  }
});

t.test('a failure says what, why and the next command; its class is the exit code', async (t) => {
  const { exitCode, stderr } = await runCommand(['break'], TABLE);
  t.equal(exitCode, 8);
  t.equal(
    stderr,
    '✗ The engine does not answer\n  no such socket\n  second line\n  → holdfast doctor\n  (engine/unreachable)\n',
  );
  const json = await runCommand(['break', '--json'], TABLE);
  t.equal(json.exitCode, 8);
  t.strictSame(JSON.parse(json.stdout), {
    version: 1,
    error: {
      code: 'engine/unreachable',
      what: 'the engine does not answer',
      why: 'no such socket\nsecond line',
      hint: 'holdfast doctor',
    },
  });
});

t.test('a --json of another program is not ours', async (t) => {
  const failing = command('run', {
    positionals: 'COMMAND…',
    maxPositionals: 9,
    run: async () => {
      throw new AppError({
        code: 'config/invalid',
        what: 'services.web: the image names no version',
        hint: 'holdfast check',
      });
    },
  });
  const { stdout, stderr } = await runCommand(['run', '--', 'prog', '--json'], [failing]);
  t.equal(stdout, '');
  t.match(stderr, /^✗ services\.web: the image/, 'and a path of the config keeps its letters');
});

t.test('what we did not foresee is called a bug', async (t) => {
  const { exitCode, stderr } = await runCommand(['crash'], TABLE);
  t.equal(exitCode, 1);
  t.match(stderr, /This is a bug in holdfast: undefined is not a function/);
});

t.test('each command stands once in the table', async (t) => {
  const names = commandTable.map(({ name }) => name);
  t.strictSame(names, [...new Set(names)]);
});

t.test('every command of the table has help with an example of itself', async (t) => {
  for (const { name, example, summary } of commandTable) {
    const { exitCode, stdout } = await runCommand([...name.split(' '), '--help'], commandTable);
    t.equal(exitCode, 0, name);
    t.ok(
      stdout.includes(example) && example.includes(`holdfast ${name}`),
      `${name} shows its example`,
    );
    t.match(summary, /^[A-Z].*\.$/, `${name} has a sentence`);
  }
});

t.test('each documented JSON answer belongs to a command that has the option', async (t) => {
  for (const [name, answer] of Object.entries(JSON_ANSWERS)) {
    const command = commandTable.find((one) => one.name === name);
    t.ok(command?.options !== undefined && 'json' in command.options, name);
    t.match(answer, /^(\{ version, |that of `plan`)/);
  }
  const shape = JSON_ANSWERS['check'] ?? '';
  for (const key of Object.keys({ version: 1, ok: true, problems: [], warnings: [] })) {
    t.match(shape, key);
  }
});

t.test('completion knows commands, their second words and options', async (t) => {
  const script = completionScript(TABLE);
  t.match(script, /compgen -W 'go tea break crash'/);
  t.match(script, /tea\) .*-W 'make --help drink'/);
  t.match(script, /go\) .*-W '--fast --help'/);
});

t.test('a shell without a completion is told so', async (t) => {
  t.match(await runCommand(['completion', 'bash'], commandTable), {
    exitCode: 0,
    stdout: /^# bash/,
  });
  t.match(await runCommand(['completion', 'fish'], commandTable), {
    exitCode: 2,
    stdout: '',
    stderr: /no completion for "fish"[\s\S]*holdfast completion bash/,
  });
});

t.test('help NAME is NAME --help', async (t) => {
  const { stdout } = await runCommand(['go', '--help'], TABLE);
  t.match(await runCommand(['help', 'go'], TABLE), { exitCode: 0, stdout });
  t.match(await runCommand(['help', 'tea'], TABLE), { exitCode: 0, stdout: /tea drink/ });
  t.match(await runCommand(['help', 'fly'], TABLE), { exitCode: 2, stderr: /There is no command/ });
  t.equal(
    (await runCommand(['tea', '-h'], TABLE)).stdout,
    (await runCommand(['tea', '--help'], TABLE)).stdout,
  );
  t.match(await runCommand(['help'], TABLE), { exitCode: 0, stdout: /break/ });
});

t.test('a reader that goes before the end, as `head` does, is no failure', async (t) => {
  const folder = t.testdir({ 'wrong.yaml': 'version: 1\n' });
  const main = join(PACKAGE_ROOT, 'installer/cli/main.ts');
  const wrong = join(folder, 'wrong.yaml');
  const child = spawn(process.execPath, [main, 'check', wrong], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Long before it has anything to say.
  child.stdout.destroy();
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  const [exitCode] = await once(child, 'close');
  t.equal(exitCode, 2, 'the answer of the command');
  t.equal(said, '');
});

t.test('numbers of options', async (t) => {
  t.equal(wholeNumber('tail', '12', 1, 20), 12);
  for (const bad of ['0', '21', '1.5', 'x', '', '-1']) {
    t.throws(() => wholeNumber('tail', bad, 1, 20), { code: 'usage/options' }, bad);
  }
});

t.test('a signal ends a command that changes nothing, wherever it is', async (t) => {
  const forEver = command('wait', { readOnly: true, run: () => new Promise(() => undefined) });
  const interrupt = new AbortController();
  const run = runCommand(['wait'], [forEver], { more: { signal: interrupt.signal } });
  interrupt.abort('SIGINT');
  t.match(await run, { exitCode: 130, stderr: '' });
});

t.test('and its process with it', async (t) => {
  const main = join(PACKAGE_ROOT, 'installer/cli/main.ts');
  const fifo = join(t.testdir(), 'config.yaml');
  execFileSync('mkfifo', [fifo]);
  // A writer that never writes.
  const writer = openSync(fifo, 'r+');
  t.teardown(() => closeSync(writer));
  const child = spawn(process.execPath, [main, 'check', fifo], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(child, 'close');
  await pause(BEGUN_MS);
  child.kill('SIGTERM');
  t.strictSame(await ended, [143, null]);
});
