import t from 'tap';
import { appendAudit, readAudit } from '../../installer/apply/audit.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { MemoryHost } from '../support/memory-host.ts';
import { installCoreutils } from './coreutils.ts';

const PATHS = pathsUnder();
const PATH = PATHS.audit;

function entry(who: string) {
  return {
    who,
    when: '2026-01-02T03:04:05.000Z',
    command: 'holdfast apply',
    configDigest: 'c0ffee',
    operations: ['write-file:/a'],
    planned: 1,
    result: 'done' as const,
    seconds: 1.5,
  };
}

async function log(...people: string[]): Promise<MemoryHost> {
  const host = new MemoryHost();
  installCoreutils(host);
  for (const who of people) await appendAudit(host, PATHS, entry(who));
  return host;
}

t.test('each line names the one before, and only root can read them', async (t) => {
  const host = await log('ann', 'ben', 'cleo');
  const { entries, breaks } = readAudit(host.files.text(PATH) ?? '');
  t.strictSame(
    entries.map(({ who }) => who),
    ['ann', 'ben', 'cleo'],
  );
  t.strictSame(breaks, []);
  t.equal(host.files.stat(PATH)?.mode, 0o600);
});

t.test('the config in force may ask for no line', async (t) => {
  const host = await log('ann');
  const settings = async (text: string) => {
    const file = { mode: 0o600, uid: 0, gid: 0 };
    await host.write(`${PATHS.stack}/agent/agent.json`, text, file);
    await appendAudit(host, PATHS, entry('ben'));
    return readAudit(host.files.text(PATH) ?? '').entries.length;
  };
  t.equal(await settings('{"auditLog":false}'), 1);
  t.equal(await settings('{'), 2);
  t.equal(await settings('{"version":1}'), 3);
});

t.test('a changed line and a removed line are found', async (t) => {
  const host = await log('ann', 'ben', 'cleo');
  const text = host.files.text(PATH) ?? '';
  const lines = text.trimEnd().split('\n');
  t.strictSame(readAudit(text.replace('ben', 'bob')).breaks, [
    { line: 3, reason: 'a line before it was changed or removed' },
  ]);
  t.strictSame(readAudit([lines[0], lines[2]].join('\n')).breaks.length, 1);
});

t.test(
  'a line that a power failure cut off is kept, named, and the chain goes over it',
  async (t) => {
    const host = await log('ann');
    const torn = `${host.files.text(PATH)}{"version":1,"who":"be`;
    host.files.write(PATH, Buffer.from(torn), { mode: 0o600, uid: 0, gid: 0 });
    await appendAudit(host, PATHS, entry('cleo'));
    const { entries, breaks } = readAudit(host.files.text(PATH) ?? '');
    t.strictSame(
      entries.map(({ who }) => who),
      ['ann', 'cleo'],
    );
    t.strictSame(breaks, [{ line: 2, reason: 'cut off by a power failure or a kill' }]);
  },
);
