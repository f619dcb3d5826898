import { execFileSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import t from 'tap';
import { openApplianceSource } from '../../installer/backup/sources/appliance.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { EMPTY_LOCK, lockFileText } from '../../installer/model/lock-file.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

const host = new LocalHost();
const report = () => undefined;

function server(root: string) {
  const paths = pathsUnder(root);
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  write(join(paths.state, 'applied/config.yaml'), 'version: 1\n');
  write(join(paths.state, 'applied/0123.file'), 'a seed');
  write(join(paths.secrets, 'TOKEN'), 'hush');
  chmodSync(join(paths.secrets, 'TOKEN'), 0o600);
  write(join(paths.secrets, 'TOKEN.next'), 'hush soon');
  write(join(paths.tls, 'private-ca/ca.key'), 'key');
  write(join(paths.tls, 'acme/account.json'), '{}');
  write(join(paths.stack, 'agent/backup.json'), '{}');
  write(join(paths.stack, 'compose.yaml'), 'rendered');
  write(join(paths.sites, 'front/releases/new/index.html'), '<p>new</p>');
  write(join(paths.sites, 'front/releases/old/index.html'), '<p>old</p>');
  symlinkSync('releases/new', join(paths.sites, 'front/current'));
  symlinkSync('releases/old', join(paths.sites, 'front/previous'));
  write(paths.lock, lockFileText(EMPTY_LOCK));
  write(join(paths.agent, 'writer-id'), 'me');
  write(join(paths.backups, 'store/big'), 'a backup');
  return paths;
}

async function archiveOf(paths: ReturnType<typeof pathsUnder>): Promise<Buffer> {
  const { objects } = await openApplianceSource({ host, paths, report });
  t.match(objects, [{ name: 'appliance.tar.zst', role: 'appliance' }]);
  const [object] = objects;
  if (object?.content.kind !== 'stream') throw new Error('no stream');
  const chunks: Uint8Array[] = [];
  for await (const chunk of object.content.read()) chunks.push(chunk);
  return zstdDecompressSync(Buffer.concat(chunks));
}

t.test('a kit holds what the server was made from, and no data', async (t) => {
  const tar = await archiveOf(server(t.testdir()));
  const target = t.testdir();
  execFileSync('tar', ['-x', '-p', '-C', target], { input: tar });
  const files = execFileSync('find', ['.', '-not', '-type', 'd', '-printf', '%P\n'], {
    cwd: target,
  })
    .toString()
    .trim()
    .split('\n')
    .sort();
  t.strictSame(files, [
    'applied/0123.file',
    'applied/config.yaml',
    'lock.json',
    'secrets/TOKEN',
    'secrets/TOKEN.next',
    'sites/front/current',
    'sites/front/releases/new/index.html',
    'stack/agent/backup.json',
    'tls/acme/account.json',
    'tls/private-ca/ca.key',
  ]);
  t.equal(readFileSync(join(target, 'sites/front/current/index.html'), 'utf8'), '<p>new</p>');
  t.equal(lstatSync(join(target, 'secrets/TOKEN')).mode & 0o777, 0o600);
});

t.test('before the first apply there is nothing to keep', async (t) => {
  const paths = pathsUnder(t.testdir());
  await t.rejects(openApplianceSource({ host, paths, report }), {
    code: 'backup/nothing-to-keep',
    hint: 'holdfast apply',
  });
});

t.test('images that were built here go along; one that is gone is no kit', async (t) => {
  const paths = server(t.testdir());
  const image = { version: '1', source: 'build', wish: '.' } as const;
  const lock = {
    ...EMPTY_LOCK,
    services: {
      web: { ...image, reference: 'holdfast-build/none-web:0' },
      cache: { ...image, source: 'registry', reference: 'cache:1' },
    },
  } as const;
  writeFileSync(paths.lock, lockFileText(lock));
  await t.rejects(
    openApplianceSource({ host, paths, report }),
    /docker image inspect .* holdfast-build\/none-web:0/,
  );
});
