import { chmod, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import type { Command, CommandResult } from '../../installer/host/host.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { packFiles } from '../../installer/host/pack-files.ts';
import { type BuildSource, contextDigest } from '../../installer/images/context-digest.ts';
import { keepOnly, sendContext } from '../../installer/images/send-context.ts';

/** Another machine, as far as sending goes: it remembers what names came in by tar. */
class Receiver extends LocalHost {
  received: string[] = [];
  failsAt: string | undefined;

  override async run(command: Command): Promise<CommandResult> {
    if (command.argv[0] === this.failsAt) throw new Error('killed');
    if (command.argv[0] !== 'tar' || command.stdin === undefined) return super.run(command);
    const archive = await buffer(command.stdin as AsyncIterable<Buffer>);
    const { stdout } = await super.run({ argv: ['tar', '--list'], stdin: archive });
    this.received = stdout
      .trim()
      .split('\n')
      .filter((name) => name !== '')
      .sort();
    return super.run({ ...command, stdin: archive });
  }
}

function sources(t: Test): { readonly source: BuildSource; readonly folder: string } {
  const home = t.testdir({
    server: {},
    web: {
      Dockerfile: 'FROM scratch\nCOPY . /\n',
      '.dockerignore': '*\n!app.js\n!src/deep/*.js\n!odd name\n!link\n!empty\n',
      'app.js': 'one',
      'big.log': 'noise',
      'odd name': 'a name',
      empty: {},
      src: { deep: { 'a.js': 'a', 'b.txt': 'b' } },
      link: t.fixture('symlink', 'app.js'),
    },
  });
  const source = { context: `${home}/web`, target: 'slim', args: { A: '1' } };
  return { source, folder: `${home}/server` };
}

t.test('what a build can see arrives, and only that', async (t) => {
  const { source, folder } = sources(t);
  await chmod(`${source.context}/app.js`, 0o755);
  const to = new Receiver();
  const sent = await sendContext(new LocalHost(), to, folder, source);
  t.strictSame(to.received, ['./app.js', './empty/', './link', './odd name', './src/deep/a.js']);
  t.equal(await contextDigest(to, sent), await contextDigest(to, source));
  t.equal(await readFile(`${sent.context}/link`, 'utf8'), 'one');
  t.match(sent, { target: 'slim', args: { A: '1' } });
});

t.test('a reader that comes late, as over a slow network, gets all of an archive', async (t) => {
  const { source } = sources(t);
  const pack = () => packFiles(source.context, ['app.js', 'big.log']);
  const late = pack();
  const atOnce = await buffer(pack());
  // The late one would have ended by now, too.
  await buffer(pack());
  t.ok(atOnce.length > 0);
  t.strictSame(await buffer(late), atOnce);
});

t.test('a second time only what changed is sent; the same is not sent at all', async (t) => {
  const { source, folder } = sources(t);
  const to = new Receiver();
  const first = await sendContext(new LocalHost(), to, folder, source);
  to.received = [];
  t.strictSame(await sendContext(new LocalHost(), to, folder, source), first);
  t.strictSame(to.received, [], 'nothing');

  await writeFile(`${source.context}/app.js`, 'two');
  await writeFile(`${source.context}/src/deep/c.js`, 'new');
  await rm(`${source.context}/src/deep/a.js`);
  await rm(`${source.context}/empty`, { recursive: true });
  const second = await sendContext(new LocalHost(), to, folder, source);
  t.strictSame(to.received, ['./app.js', './src/deep/c.js']);
  t.equal(await contextDigest(to, second), await contextDigest(to, source));
  t.equal(await readFile(`${first.context}/app.js`, 'utf8'), 'one', 'the earlier one is whole');
  t.strictSame((await readdir(second.context)).sort(), ['app.js', 'link', 'odd name', 'src']);

  await keepOnly(to, folder, second);
  t.equal((await readdir(folder)).length, 1);
  t.equal(await readFile(`${second.context}/odd name`, 'utf8'), 'a name');
});

t.test(
  'a Dockerfile from outside of its context comes along with its own ignore file',
  async (t) => {
    const home = t.testdir({
      server: {},
      app: { 'a.js': 'a', 'b.js': 'b', '.dockerignore': 'a.js' },
      'web.Dockerfile': 'FROM scratch\n',
      'web.Dockerfile.dockerignore': 'b.js\n',
    });
    const source = { context: `${home}/app`, dockerfile: '../web.Dockerfile' };
    const to = new Receiver();
    const sent = await sendContext(new LocalHost(), to, `${home}/server`, source);
    t.strictSame(to.received, ['./.dockerignore', './a.js']);
    t.equal(await contextDigest(to, sent), await contextDigest(to, source));
  },
);

t.test('killed on the way, or changed on the way: nothing half is ever used', async (t) => {
  const { source, folder } = sources(t);
  const to = new Receiver();
  to.failsAt = 'mv';
  await t.rejects(sendContext(new LocalHost(), to, folder, source), { message: 'killed' });
  to.failsAt = undefined;
  const sent = await sendContext(new LocalHost(), to, folder, source);
  t.equal(await contextDigest(to, sent), await contextDigest(to, source));

  await writeFile(`${source.context}/app.js`, 'next');
  class Restless extends LocalHost {
    override async run(command: Command): Promise<CommandResult> {
      const result = await super.run(command);
      if (command.argv[0] === 'xargs')
        await writeFile(`${source.context}/app.js`, `${Math.random()}`);
      return result;
    }
  }
  await t.rejects(sendContext(new Restless(), to, folder, source), {
    code: 'image/context-changed',
  });
});

t.test('a file that tar cannot read fails the stream', async (t) => {
  const folder = t.testdir({ there: 'x' });
  await symlink('nowhere', `${folder}/link`);
  t.ok((await buffer(packFiles(folder, ['there', 'link']))).length > 0);
  await t.rejects(buffer(packFiles(folder, ['there', 'not there'])), {
    code: 'host/command-failed',
    why: /not there/,
  });
});
