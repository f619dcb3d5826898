import { execFileSync } from 'node:child_process';
import { PassThrough } from 'node:stream';
import t from 'tap';
import { readKeyRecord } from '../../installer/backup/recovery-key.ts';
import { commandTable } from '../../installer/cli/table.ts';
import { loadConfig } from '../../installer/config/load.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { runCommand } from '../support/cli.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import { MemoryHost } from '../support/memory-host.ts';

const FILE = '/etc/holdfast/config.yaml';
const PATHS = pathsUnder();

/** With the machine's own age. */
function server() {
  const host = new MemoryHost();
  for (const program of ['age', 'age-keygen']) {
    host.on([program], ({ rest, stdin }) => ({
      stdout: execFileSync(program, [...rest], {
        input: stdin,
        stdio: ['pipe', 'pipe', 'ignore'],
      }).toString(),
    }));
  }
  return { host, engine: new FakeEngine(host.effects) };
}

/** Talks as a person does: looks at all that was shown so far, and answers each question. */
async function talk(
  argv: readonly string[],
  { host, engine }: ReturnType<typeof server>,
  answer: (prompt: string, shown: string) => string,
) {
  let shown = '';
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const out = (text: string): void => {
    shown += text;
    if (text.endsWith(': ') || text.endsWith('from here. ')) {
      stdin.write(`${answer(text, shown)}\n`);
    }
  };
  const { exitCode, stderr } = await runCommand(argv, commandTable, {
    server: { host, engine },
    more: { io: { stdin, out, err: out, isTerminal: true, color: false, columns: 80 } },
  });
  return { exitCode, shown, stderr };
}

const keyIn = (shown: string): string => /AGE-SECRET-KEY-1\S+/.exec(shown)?.[0] ?? '';
const recipientOf = (identity: string): string =>
  execFileSync('age-keygen', ['-y'], { input: identity, stdio: ['pipe', 'pipe', 'ignore'] })
    .toString()
    .trim();

function applied(host: MemoryHost, recipients: readonly string[]): void {
  const settings = Buffer.from(JSON.stringify({ recipients }));
  host.files.write(`${PATHS.stack}/agent/backup.json`, settings, { mode: 0o600, uid: 0, gid: 0 });
}

t.test('init makes a key, shows it once, and believes no word but the key itself', async (t) => {
  const target = server();
  let wrong = 0;
  const { exitCode, shown } = await talk(['init'], target, (prompt, all) => {
    if (!prompt.startsWith('Paste')) return '';
    if (wrong === 0) {
      wrong += 1;
      return 'I have it';
    }
    return keyIn(all);
  });
  t.equal(exitCode, 0, shown);
  const identity = keyIn(shown);
  t.equal(shown.split(identity).length, 2, 'shown once');
  t.match(shown, /not the key that was shown/);
  const [, afterwards = ''] = shown.split(identity);
  t.ok(afterwards.includes('\u001b[3J'), 'the terminal forgets it');
  const text = target.host.files.text(FILE) ?? '';
  const recipient = recipientOf(identity);
  t.match(loadConfig(Buffer.from(text), FILE), {
    ok: true,
    config: { backups: { recipients: [recipient] } },
  });
  t.strictSame(await readKeyRecord(target.host, PATHS), {
    version: 1,
    provenAt: { [recipient]: '2026-11-21T12:00:00.000Z' },
  });
  const kept = target.host.files.paths().filter((path) => {
    return target.host.files.text(path)?.includes('AGE-SECRET-KEY') === true;
  });
  t.strictSame(kept, [], 'it never lay on a disk');
});

t.test('who declines gets the key in the config all the same, and it is remembered', async (t) => {
  const target = server();
  const { exitCode, shown } = await talk(['init'], target, (prompt) =>
    prompt.startsWith('Paste') ? 'decline' : '',
  );
  t.equal(exitCode, 0, shown);
  t.ok(target.host.files.text(FILE)?.includes(recipientOf(keyIn(shown))));
  t.match(await readKeyRecord(target.host, PATHS), {
    provenAt: {},
    declinedAt: '2026-11-21T12:00:00.000Z',
  });
});

t.test('who wants none gets a config without one', async (t) => {
  const target = server();
  const { exitCode } = await talk(['init'], target, (prompt) =>
    prompt.startsWith('Make one') ? 'no' : '',
  );
  t.equal(exitCode, 0);
  t.match(loadConfig(Buffer.from(target.host.files.text(FILE) ?? ''), FILE), {
    ok: true,
    config: { backups: { recipients: [] } },
  });
  t.match(await readKeyRecord(target.host, PATHS), { declinedAt: /^2026/ });
});

t.test('a key of the person is proved by a message that it alone opens', async (t) => {
  const folder = t.testdir({});
  const identity = `${folder}/key.txt`;
  execFileSync('age-keygen', ['-o', identity], { stdio: 'ignore' });
  const recipient = execFileSync('age-keygen', ['-y', identity]).toString().trim();
  const target = server();
  applied(target.host, [recipient]);

  const list = async () => {
    const { stdout } = await runCommand(['recovery-key', 'list', '--json'], commandTable, {
      server: target,
    });
    return JSON.parse(stdout);
  };
  t.strictSame(await list(), { version: 1, keys: [{ recipient }] });
  let guesses = 0;
  const { exitCode, shown } = await talk(['recovery-key', 'prove'], target, (_prompt, all) => {
    guesses += 1;
    if (guesses === 1) return 'deadbeef';
    const [message = ''] = /-----BEGIN AGE[\s\S]*END AGE[^\n]*-----/.exec(all) ?? [];
    return execFileSync('age', ['--decrypt', '-i', identity], { input: message }).toString().trim();
  });
  t.equal(exitCode, 0, shown);
  t.match(shown, /not the word[\s\S]*Proved: age1/);
  t.match(await list(), { keys: [{ recipient, provenAt: '2026-11-21T12:00:00.000Z' }] });
});

t.test('refusals: no terminal, a key that nothing is encrypted to, none at all', async (t) => {
  const target = server();
  applied(target.host, []);
  const run = (...argv: string[]) =>
    runCommand(['recovery-key', ...argv], commandTable, { server: target });
  t.match(await run('make'), { exitCode: 5, stderr: /no terminal/ });
  t.match(await run('prove'), { exitCode: 2, stderr: /names no recovery key/ });
  t.match(await run('prove', 'age1other'), { exitCode: 2, stderr: /not encrypted to age1other/ });
  t.match(await run('list'), {
    exitCode: 0,
    stdout: /No recovery key: holdfast recovery-key make/,
  });
});
