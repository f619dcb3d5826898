import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import type { ParsedArguments } from '../../installer/cli/command.ts';
import { consent } from '../../installer/cli/consent.ts';
import type { CliContext } from '../../installer/cli/context.ts';
import { parseCommand } from '../../installer/cli/parse.ts';
import { commandTable } from '../../installer/cli/table.ts';
import { AppError } from '../../installer/errors.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { installCoreutils } from '../apply/coreutils.ts';
import { runCommand } from '../support/cli.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';

const PATHS = pathsUnder();

function uninstall(more: Parameters<typeof runCommand>[2]) {
  const host = new MemoryHost();
  installCoreutils(host);
  const settings = `${PATHS.stack}/agent/agent.json`;
  host.files.write(settings, Buffer.from('{"project":"app"}'), { mode: 0o600, uid: 0, gid: 0 });
  const server = { host, engine: new FakeEngine(host.effects) };
  const run = runCommand(['uninstall'], commandTable, { server, ...more });
  return run.then((ended) => ({ ...ended, isThere: host.files.text(settings) !== undefined }));
}

t.test('a no changes nothing and is an exit code of its own', async (t) => {
  const no = await uninstall({ terminal: true, stdin: 'n\n' });
  t.match(no, {
    exitCode: 5,
    stderr:
      /Go on\? \[y\/N\] ✗ Nothing was changed\n {2}the answer was no\n {2}→ holdfast uninstall\n/,
    isThere: true,
  });
  t.match(await uninstall({ terminal: true, stdin: 'yes\n' }), { exitCode: 0, isThere: false });
});

t.test('Control-D is told as what it is, and not as a bug', async (t) => {
  const ended = await uninstall({ terminal: true });
  t.match(ended, {
    exitCode: 5,
    stderr: /interrupted before the answer[\s\S]*consent\/interrupted/i,
  });
  t.ok(ended.isThere);
});

/** The question of this command line, with the keys of a person still to come. */
function asked(...argv: string[]) {
  const interrupt = new AbortController();
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  let out = '';
  let err = '';
  const io = { stdin, out: (text: string) => (out += text), err: (text: string) => (err += text) };
  const context = { io, signal: interrupt.signal } as unknown as CliContext;
  const { args } = parseCommand(argv, commandTable);
  const answer = consent(args, context, { text: 'Go on? ' });
  return { answer, stdin, interrupt, shown: () => ({ out, err }) };
}

t.test('Control-C at the question ends it at once', async (t) => {
  const { answer, interrupt } = asked('apply', '-c', 'mine.yaml');
  await turn();
  interrupt.abort('SIGINT');
  await t.rejects(answer, {
    code: 'consent/interrupted',
    hint: 'holdfast apply -c mine.yaml',
  });
});

t.test('standard output is left to the answer of the command', async (t) => {
  const { answer, stdin, shown } = asked('apply', '--json');
  stdin.write('Y\n');
  t.equal(await answer, true);
  t.strictSame(shown(), { out: '', err: 'Go on? ' });
});

t.test('the hint where there is no terminal is the same command, with its yes', async (t) => {
  const hintOf = async (...argv: string[]) => {
    const { args } = parseCommand(argv, commandTable);
    return await refusalOf(args);
  };
  t.equal(
    await hintOf('apply', '-c', 'my files/mine.yaml', '--host', 'root@b.example'),
    "holdfast apply --yes -c 'my files/mine.yaml' --host root@b.example",
  );
  t.equal(await hintOf('volumes', 'prune'), 'holdfast volumes prune --yes');
});

async function refusalOf(args: ParsedArguments): Promise<string> {
  const io = { stdin: Object.assign(new PassThrough(), { isTTY: false }) };
  const context = { io } as unknown as CliContext;
  try {
    await consent(args, context, { text: 'Go on? ' });
  } catch (error) {
    if (error instanceof AppError && error.code === 'consent/no-terminal') return error.hint;
    throw error;
  }
  return 'nobody was asked, and it went on';
}
