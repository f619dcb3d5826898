import t from 'tap';
import { pathsUnder } from '../../installer/model/paths.ts';
import { Secret } from '../../installer/model/secret.ts';
import { SecretStore } from '../../installer/secrets/store.ts';
import { MemoryHost } from '../support/memory-host.ts';

const paths = pathsUnder();

function storeOn(host = new MemoryHost()) {
  return { host, store: new SecretStore(host, paths) };
}

const textOf = (secret: Secret | undefined) => secret?.reveal();

t.test('a stored secret is a file for root alone, in a folder for root alone', async (t) => {
  const { host, store } = storeOn();
  await store.store('API_KEY', new Secret('s3cret'));
  t.match(await host.stat(`${paths.secrets}/API_KEY`), { mode: 0o600, uid: 0, gid: 0 });
  t.match(await host.stat(paths.secrets), { mode: 0o700, uid: 0, gid: 0 });
  t.equal(textOf(await store.get('API_KEY')), 's3cret');
  t.strictSame(await store.names(), ['API_KEY']);
});

t.test('values come back byte for byte', async (t) => {
  const { store } = storeOn();
  const values = [
    'a\nb\n',
    'quote " \' $HOME %s <% {{ \\',
    ' spaces ',
    'é 漢 🐚',
    '\ufeffbegins with a byte order mark',
    '-----BEGIN X-----\n',
  ];
  for (const value of values) {
    await store.store('VALUE', new Secret(value));
    t.equal(textOf(await store.get('VALUE')), value);
  }
});

t.test('names that would leave the folder, or are no names, are refused', async (t) => {
  const { store } = storeOn();
  for (const name of ['../X', 'a', 'lower', 'X/Y', '', 'X.next', '1X']) {
    await t.rejects(store.store(name, new Secret('x')), { code: 'secret/name' }, name);
    await t.rejects(store.get(name), { code: 'secret/name' }, name);
  }
});

t.test('files that are no secrets are not read', async (t) => {
  const { host, store } = storeOn();
  await store.store('A', new Secret('1'));
  await host.write(`${paths.secrets}/.A.tmp`, 'half', { mode: 0o600, uid: 0, gid: 0 });
  t.strictSame([...(await store.all()).keys()], ['A']);
});

t.test(
  'while a secret is rotated its next value counts, and giving up brings the old one back',
  async (t) => {
    const { store } = storeOn();
    await store.store('A', new Secret('old'));
    await store.propose('A', new Secret('new'));
    t.equal(textOf(await store.get('A')), 'new');
    t.equal(textOf((await store.all()).get('A')), 'new');
    t.equal(textOf(await store.settled('A')), 'old');
    await store.withdraw('A');
    t.equal(textOf((await store.all()).get('A')), 'old');
    await store.propose('A', new Secret('newer'));
    await store.store('A', new Secret('set by hand'));
    t.equal(textOf(await store.get('A')), 'set by hand');
    await store.remove('A');
    t.strictSame(await store.names(), []);
  },
);
