import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import type { Test } from 'tap';
import type { Host } from '../../installer/host/host.ts';

export interface HostUnderTest {
  readonly host: Host;
  /** An empty folder on the host that the suite may fill. */
  readonly folder: string;
  /** Owner that the host may give to files, other than its own where it is root. */
  readonly owner: { readonly uid: number; readonly gid: number };
}

/** What every {@link Host} does. The programs used are `cat`, `false` and `printf`. */
export function hostSuite(t: Test, start: (t: Test) => Promise<HostUnderTest>): void {
  t.test('a written file has its content, mode and owner', async (t) => {
    const { host, folder, owner } = await start(t);
    const path = posix.join(folder, 'a');
    await host.write(path, 'grüße\n', { mode: 0o640, ...owner });
    t.equal(text(await host.read(path)), 'grüße\n');
    t.strictSame(await host.stat(path), { type: 'file', size: 8, mode: 0o640, ...owner });
  });

  t.test('a file is replaced as a whole: content, mode and owner', async (t) => {
    const { host, folder, owner } = await start(t);
    const path = posix.join(folder, 'a');
    await host.write(path, 'long old content', { mode: 0o644, ...owner });
    await host.write(path, 'new', { mode: 0o600, ...owner });
    t.equal(text(await host.read(path)), 'new');
    t.equal((await host.stat(path))?.mode, 0o600);
    t.strictSame(await host.list(folder), ['a'], 'nothing else stays in the folder');
  });

  t.test('bytes come back as they were', async (t) => {
    const { host, folder, owner } = await start(t);
    const path = posix.join(folder, 'bytes');
    const bytes = randomBytes(300_000);
    await host.write(path, bytes, { mode: 0o600, ...owner });
    t.ok(bytes.equals((await host.read(path)) ?? Buffer.alloc(0)));
    await host.write(path, new Uint8Array(0), { mode: 0o600, ...owner });
    t.equal((await host.read(path))?.length, 0);
  });

  t.test('writing makes missing folders, 0755', async (t) => {
    const { host, folder, owner } = await start(t);
    await host.write(posix.join(folder, 'x/y/z'), '1', { mode: 0o600, ...owner });
    t.match(await host.stat(posix.join(folder, 'x')), { type: 'directory', mode: 0o755 });
    t.match(await host.stat(posix.join(folder, 'x/y')), { type: 'directory', mode: 0o755 });
  });

  t.test('names of any kind are taken literally', async (t) => {
    const { host, folder, owner } = await start(t);
    for (const name of ["it's", '$HOME `id`', '-rf', 'a b', '*', 'ü"\\']) {
      const path = posix.join(folder, name);
      await host.write(path, name, { mode: 0o600, ...owner });
      t.equal(text(await host.read(path)), name);
      await host.remove(path);
      t.equal(await host.stat(path), undefined);
    }
  });

  t.test('a folder stands in the way of a file', async (t) => {
    const { host, folder, owner } = await start(t);
    const path = posix.join(folder, 'folder');
    await host.makeDirectory(path, { mode: 0o755, ...owner });
    const attributes = { mode: 0o600, ...owner };
    await t.rejects(host.write(path, 'x', attributes), { code: 'host/wrong-file-type' });
    await t.rejects(host.read(path), { code: 'host/wrong-file-type' });
    t.strictSame(await host.list(folder), ['folder']);
  });

  t.test('a file stands in the way of a folder', async (t) => {
    const { host, folder, owner } = await start(t);
    const path = posix.join(folder, 'file');
    await host.write(path, 'x', { mode: 0o600, ...owner });
    const attributes = { mode: 0o755, ...owner };
    await t.rejects(host.makeDirectory(path, attributes), { code: 'host/wrong-file-type' });
    const below = posix.join(path, 'below');
    await t.rejects(host.write(below, 'x', attributes), { code: 'host/wrong-file-type' });
  });

  t.test('what is not there reads as undefined and lists as empty', async (t) => {
    const { host, folder, owner } = await start(t);
    const file = posix.join(folder, 'file');
    await host.write(file, 'x', { mode: 0o600, ...owner });
    for (const path of [posix.join(folder, 'none'), posix.join(file, 'below')]) {
      t.equal(await host.read(path), undefined);
      t.equal(await host.stat(path), undefined);
      t.strictSame(await host.list(path), []);
    }
  });

  t.test('a folder gets mode and owner, its new parents 0755', async (t) => {
    const { host, folder, owner } = await start(t);
    const path = posix.join(folder, 'p/q');
    await host.makeDirectory(path, { mode: 0o700, ...owner });
    t.match(await host.stat(path), { type: 'directory', mode: 0o700, ...owner });
    t.match(await host.stat(posix.dirname(path)), { type: 'directory', mode: 0o755 });
  });

  t.test('a folder that exists keeps its files and gets the new mode', async (t) => {
    const { host, folder, owner } = await start(t);
    const path = posix.join(folder, 'd');
    await host.makeDirectory(path, { mode: 0o755, ...owner });
    await host.write(posix.join(path, 'f'), 'x', { mode: 0o600, ...owner });
    await host.makeDirectory(path, { mode: 0o750, ...owner });
    t.equal((await host.stat(path))?.mode, 0o750);
    t.strictSame(await host.list(path), ['f']);
  });

  t.test('a list is sorted and holds files and folders, hidden ones too', async (t) => {
    const { host, folder, owner } = await start(t);
    for (const name of ['b', '.hidden', 'a']) {
      await host.write(posix.join(folder, name), '', { mode: 0o600, ...owner });
    }
    await host.makeDirectory(posix.join(folder, 'C'), { mode: 0o755, ...owner });
    t.strictSame(await host.list(folder), ['.hidden', 'C', 'a', 'b']);
  });

  t.test('removing: a file, nothing, a folder only when recursive', async (t) => {
    const { host, folder, owner } = await start(t);
    const tree = posix.join(folder, 'tree');
    await host.write(posix.join(tree, 'below/file'), 'x', { mode: 0o600, ...owner });
    await t.rejects(host.remove(tree), { code: 'host/wrong-file-type' });
    t.strictSame(await host.list(tree), ['below']);
    await host.remove(tree, { recursive: true });
    t.equal(await host.stat(tree), undefined);
    await host.remove(tree);
    await host.remove(tree, { recursive: true });
  });

  t.test('a program gets standard input as text, bytes or stream', async (t) => {
    const { host } = await start(t);
    for (const stdin of ['one\ntwo', Buffer.from('one\ntwo'), Readable.from(['one\n', 'two'])]) {
      const result = await host.run({ argv: ['cat'], stdin });
      t.strictSame(result, { exitCode: 0, stdout: 'one\ntwo', stderr: '' });
    }
  });

  t.test('a program without standard input sees its end at once', async (t) => {
    const { host } = await start(t);
    t.equal((await host.run({ argv: ['cat'] })).stdout, '');
  });

  t.test('arguments reach the program unchanged', async (t) => {
    const { host } = await start(t);
    const words = [
      'a b',
      "it's",
      '$HOME',
      '`id`',
      '"',
      '\\',
      '*',
      '',
      'ü',
      'line\nfeed',
      '-x',
      ';',
    ];
    const { stdout } = await host.run({ argv: ['printf', '[%s]', ...words] });
    t.equal(stdout, words.map((word) => `[${word}]`).join(''));
  });

  t.test('lines are handed on as they come, the last one without a line feed too', async (t) => {
    const { host } = await start(t);
    const lines: string[] = [];
    await host.run({ argv: ['printf', 'a\n\nb'], onLine: (line) => lines.push(line) });
    t.strictSame(
      lines.filter((line) => line !== ''),
      ['a', 'b'],
    );
  });

  t.test('another exit code is a CommandError unless it is an answer', async (t) => {
    const { host } = await start(t);
    await t.rejects(host.run({ argv: ['false'] }), {
      name: 'CommandError',
      code: 'host/command-failed',
      reason: 'exit',
      exitCode: 1,
      what: `\`false\` on ${host.name} ended with exit code 1`,
    });
    const answered = await host.run({ argv: ['false'], okExitCodes: [0, 1] });
    t.equal(answered.exitCode, 1);
  });

  t.test('a missing program is a CommandError that names it', async (t) => {
    const { host } = await start(t);
    await t.rejects(host.run({ argv: ['no-such-program', 'x'] }), {
      code: 'host/program-missing',
      reason: 'spawn',
      argv: ['no-such-program', 'x'],
      hint: /no-such-program/,
    });
  });
}

function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString('utf8');
}
