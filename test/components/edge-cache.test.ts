import t from 'tap';
import { edgeCache } from '../../installer/components/edge-cache/component.ts';
import { nginx } from '../../installer/components/nginx/component.ts';
import { notYetApplied } from '../../installer/config/not-yet-applied.ts';
import { configOf, generated, inputOf } from '../support/component-input.ts';

const CONFIG = configOf(`
services: { web: { image: "a:1", port: 3000 } }
storage:
  providers:
    r2: { kind: r2, accountSecret: R2_ACCOUNT, secretRef: R2 }
    s3: { kind: s3, endpoint: "https://s3.example.com", region: eu-west-3, secretRef: MAIN }
  buckets:
    open: { provider: s3, name: open-files, private: false }
    closed: { provider: s3, name: closed-files }
    films: { provider: r2, name: films, private: false }
edgeCache:
  - { host: open.example.com, origin: "bucket:open" }
  - { host: closed.example.com, origin: "bucket:closed" }
  - { host: films.example.com, origin: "bucket:films" }
  - { host: url.example.com, origin: "https://files.example.com", signedUrls: true }
`);
const STORED = {
  MAIN_ACCESS_KEY_ID: 'main-id',
  MAIN_SECRET_ACCESS_KEY: 'main-key-61fe',
  R2_ACCESS_KEY_ID: 'r2-id',
  R2_SECRET_ACCESS_KEY: 'r2-key-aa07',
  R2_ACCOUNT: 'account0451',
};

function filesWith(stored: Record<string, string>) {
  const input = inputOf(CONFIG, [nginx, edgeCache], { stored });
  const pair = { certificate: 'c', key: generated('key') };
  const hosts = CONFIG.edgeCache.map(({ host }) => [host, pair] as const);
  const { files = [] } = edgeCache.contribute?.({ ...input, certificates: new Map(hosts) }) ?? {};
  return files;
}

t.test('keys of buckets stand in one file of nginx, whatever the bucket allows', async (t) => {
  const files = filesWith(STORED);
  const [keys, ...others] = files.filter(({ path }) => path.endsWith('buckets.secrets.json'));
  t.same(others, []);
  t.match(keys, { secret: true, mode: 0o400, uid: 101, gid: 101 });
  const text = keys !== undefined && 'text' in keys.content ? keys.content.text : '';
  t.strictSame(JSON.parse(text), {
    'closed.example.com': {
      ...{ base: 'https://s3.example.com', host: 's3.example.com', prefix: '/closed-files' },
      ...{ region: 'eu-west-3', accessKeyId: 'main-id', secretAccessKey: 'main-key-61fe' },
      signedUrls: false,
    },
    'films.example.com': {
      base: 'https://account0451.r2.cloudflarestorage.com',
      host: 'account0451.r2.cloudflarestorage.com',
      prefix: '/films',
      ...{ region: 'auto', accessKeyId: 'r2-id', secretAccessKey: 'r2-key-aa07' },
      signedUrls: false,
    },
  });
  for (const file of files.filter((one) => one !== keys)) {
    t.notMatch(JSON.stringify(file), /key-61fe|key-aa07|account0451/, file.path);
  }
  const named = edgeCache.needs?.(CONFIG).secrets?.map(({ name }) => name);
  t.strictSame(named?.toSorted(), Object.keys(STORED).toSorted(), 'asked for before anything else');
});

t.test('an account that is none is refused by the name of its secret', async (t) => {
  t.throws(() => filesWith({ ...STORED, R2_ACCOUNT: 'no account' }), {
    code: 'secret/r2-account',
    message: /R2_ACCOUNT/,
  });
});

t.test('signed URLs of an origin without a key are announced as not served', async (t) => {
  const said = notYetApplied(CONFIG).filter(({ path }) => path.startsWith('edgeCache'));
  t.match(said, [{ path: 'edgeCache[3]', issue: /the key of a bucket/ }]);
  t.equal(said.length, 1);
  t.notOk(filesWith(STORED).some(({ path }) => path.includes('url.example.com')));
});
