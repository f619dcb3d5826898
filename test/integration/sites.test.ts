import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { pathsUnder } from '../../installer/model/paths.ts';
import type { SiteSource } from '../../installer/model/site.ts';
import { buildSource } from '../../installer/rollout/site-sources.ts';
import { builtImage, docker } from '../support/containers.ts';
import { type Answer, routeTo, TestEdge } from '../support/edge.ts';
import { publishSite } from '../support/publish-site.ts';

const CONFIG = `
domain: app.example.com
tls: { hsts: { includeSubDomains: true } }
http: { denyPaths: [/internal/, /assets/draft.css, /plan.html] }
services:
  api: { image: "a:1", port: 3001, routes: [{ path: /api/ }] }
sites:
  web:
    artifact: ./dist
    hosts: [app.example.com, www.example.com]
    canonicalHost: app.example.com
    spa: true
    downloads: { path: /downloads/, volume: files, expires: 7d }
  docs: { artifact: ./docs, hosts: [docs.example.com], cache: { html: 5m, default: no-cache } }
`;
const edge = await TestEdge.start(CONFIG, [routeTo('api', 3001, { path: '/api/' })]);
t.teardown(() => edge.stop());
const paths = pathsUnder(edge.folder);
const nginxImage = await builtImage('nginx');

const publish = (name: string, source: SiteSource): Promise<string> =>
  publishSite({ paths, toolImage: nginxImage }, name, source);

const SCRIPT = `console.log(${JSON.stringify('x'.repeat(4000))});\n`;

function webFiles(version: string) {
  return {
    'index.html': `<!doctype html><title>${version}</title>`,
    'about.html': 'about',
    'logo.svg': '<svg/>',
    '.env': 'PASSWORD=x',
    '.well-known': { 'security.txt': 'Contact: mailto:ops@example.com' },
    'banner-1920x1080.jpg': 'jpg',
    'logo-Original.svg': '<svg/>',
    [`${version}-0a1b2c3d.svg`]: '<svg/>',
    guide: { 'index.html': `guide of ${version}` },
    'both.html': 'the page',
    both: { 'index.html': 'the folder' },
    'plan.html': 'x'.repeat(4000),
    Internal: { 'a.css': 'a{}' },
    assets: {
      [`index-${version}T3x9Qa.js`]: SCRIPT,
      'plain.css': 'body{}',
      'draft.css': 'b{}'.repeat(2000),
    },
  };
}

const folder = (path: string): SiteSource => ({ kind: 'folder', path });
await publish('web', folder(t.testdir(webFiles('Dk1'))));

const SECURITY = {
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

t.test('pages, deep links and files each answer as they should, with our headers', async (t) => {
  const asked: readonly [string, number, string | undefined][] = [
    ['/', 200, 'no-cache'],
    ['/index.html', 200, 'no-cache'],
    ['/users/7?tab=2', 200, 'no-cache'],
    ['/users/', 200, 'no-cache'],
    ['/about', 200, 'no-cache'],
    ['/logo.svg', 200, 'public, max-age=3600'],
    ['/banner-1920x1080.jpg', 200, 'public, max-age=3600'],
    ['/logo-Original.svg', 200, 'public, max-age=3600'],
    ['/Dk1-0a1b2c3d.svg', 200, 'public, max-age=31536000, immutable'],
    ['/.well-known/security.txt', 200, 'public, max-age=3600'],
    ['/assets/plain.css', 200, 'public, max-age=3600'],
    ['/assets/index-Dk1T3x9Qa.js', 200, 'public, max-age=31536000, immutable'],
    ['/assets/index-gone1234.js', 404, 'no-store'],
    ['/assets/gone', 404, 'no-store'],
    ['/favicon.ico', 404, 'no-store'],
    ['/.env', 404, 'no-store'],
    ['/.git/config', 404, 'no-store'],
    ['/assets/../.env', 400, 'no-store'],
    ['/current/index.html', 404, 'no-store'],
    ['/metrics', 404, 'no-store'],
    ['/Internal/a.css', 404, 'no-store'],
    ['/assets/draft.css', 404, 'no-store'],
    ['/assets/draft.css.gz', 404, 'no-store'],
    ['/assets/draft.css.br', 404, 'no-store'],
    ['/assets/Draft.css.GZ', 404, 'no-store'],
    ['/plan.html', 404, 'no-store'],
    ['/plan.html.gz', 404, 'no-store'],
    ['/plan', 404, 'no-store'],
    ['/plan/', 404, 'no-store'],
    ['/plans', 200, 'no-cache'],
  ];
  for (const [path, status, cache] of asked) {
    const answer = await edge.ask(path);
    t.match(answer, { status, headers: { 'cache-control': cache, ...SECURITY } }, path);
  }
  t.match((await edge.ask('/users/7')).body, /<title>Dk1</, 'a deep link is the first page');
  t.match((await edge.ask('/about')).body, 'about');
  const post = await edge.ask('/', { method: 'POST', body: 'x' });
  t.match(post, { status: 405, headers: SECURITY });
});

t.test('a folder is asked for with its slash, so that links of its page fit', async (t) => {
  for (const [path, location] of [
    ['/guide', '/guide/'],
    ['/guide?a=b&c', '/guide/?a=b&c'],
    ['/%67uide', '/%67uide/'],
  ] as const) {
    const { status, headers } = await edge.ask(path);
    t.match({ status, headers }, { status: 301, headers: SECURITY }, path);
    t.equal(headers.location, `https://app.example.com${location}`);
  }
  // Never to another host.
  const elsewhere = await edge.ask('//evil.example/%2e%2e/guide');
  t.match(
    { ...elsewhere, location: elsewhere.headers.location },
    { status: 400, location: undefined },
  );
  t.match((await edge.ask('/guide/')).body, 'guide of Dk1');
  t.match(await edge.ask('/both'), { status: 200, body: 'the page' });
  t.match(await edge.ask('/both/'), { status: 200, body: 'the folder' });
  const packed = await edge.ask('/guide/none', { headers: { 'accept-encoding': 'gzip' } });
  t.match(packed, { status: 200, headers: { 'cache-control': 'no-cache', ...SECURITY } });
});

t.test('services on the same host keep their paths, endings and hidden names too', async (t) => {
  for (const path of ['/api/x', '/api', '/api/app.js', '/api/.hidden', '/api/index-Dk1T3x9Qa.js']) {
    t.match(JSON.parse((await edge.ask(path)).body), { service: 'api', url: path });
  }
  t.match((await edge.ask('/apix')).body, /<title>/, 'and no more than that');
});

t.test('compressed copies, ranges, HEAD and conditional requests', async (t) => {
  const script = '/assets/index-Dk1T3x9Qa.js';
  const plain = await edge.ask(script);
  t.equal(plain.body, SCRIPT);
  for (const encoding of ['gzip', 'br']) {
    const packed = await edge.ask(script, { headers: { 'accept-encoding': encoding } });
    t.match(packed.headers, { 'content-encoding': encoding, vary: /Accept-Encoding/i });
    t.ok(Number(packed.headers['content-length']) < 200, `${encoding} was made before`);
  }
  const both = await edge.ask(script, { headers: { 'accept-encoding': 'gzip, deflate, br' } });
  t.equal(both.headers['content-encoding'], 'br');
  const head = await edge.ask(script, { method: 'HEAD' });
  t.match(head, { status: 200, body: '', headers: { 'content-length': String(SCRIPT.length) } });
  const range = await edge.ask(script, { headers: { range: 'bytes=0-10' } });
  t.match(range, { status: 206, body: SCRIPT.slice(0, 11) });
  const fresh = { 'if-none-match': String(plain.headers.etag) };
  t.equal((await edge.ask(script, { headers: fresh })).status, 304);
});

t.test('the other hosts lead to the canonical one with path and query', async (t) => {
  const www = await edge.ask('/a/b?c=d&e', { host: 'www.example.com' });
  t.match(www, {
    status: 301,
    headers: { location: 'https://app.example.com/a/b?c=d&e', ...SECURITY },
  });
});

t.test('downloads come from their volume, without lists, never by a link', async (t) => {
  const mounts = JSON.parse(await docker('inspect', '-f', '{{json .Mounts}}', edge.container));
  const volume = mounts.find(
    (mount: { Destination: string }) => mount.Destination === '/srv/volumes/files',
  );
  mkdirSync(join(volume.Source, 'sub'));
  writeFileSync(join(volume.Source, 'manual.pdf'), '%PDF-1.7 manual');
  writeFileSync(join(volume.Source, '.secret'), 'x');
  writeFileSync(join(volume.Source, 'sub/part.txt'), 'part');
  symlinkSync('/etc/nginx/certificates', join(volume.Source, 'keys'));
  symlinkSync('/etc/nginx/certificates/app.example.com.pem', join(volume.Source, 'key.pem'));
  symlinkSync('../../../../etc/nginx/certificates', join(volume.Source, 'sub/keys'));
  symlinkSync('manual.pdf', join(volume.Source, 'latest.pdf'));
  t.match(await edge.ask('/downloads/manual.pdf'), {
    status: 200,
    body: '%PDF-1.7 manual',
    headers: { 'cache-control': 'public, max-age=604800', ...SECURITY },
  });
  t.match(await edge.ask('/downloads/sub/part.txt'), { status: 200, body: 'part' });
  for (const path of [
    '/downloads/key.pem',
    '/downloads/keys/app.example.com.pem',
    '/downloads/sub/keys/app.example.com.pem',
    '/downloads/latest.pdf',
    '/downloads/',
    '/downloads/sub/',
    '/downloads/none.pdf',
    '/downloads/.secret',
  ]) {
    t.match(await edge.ask(path), { status: 404, headers: SECURITY }, path);
  }
});

t.test(
  'a site without spa answers 404 for what is not there, and its own times hold',
  async (t) => {
    await publish(
      'docs',
      folder(t.testdir({ 'index.html': 'docs', guide: { 'index.html': 'guide' } })),
    );
    const ask = (path: string): Promise<Answer> => edge.ask(path, { host: 'docs.example.com' });
    t.match(await ask('/'), { status: 200, headers: { 'cache-control': 'public, max-age=300' } });
    t.match(await ask('/guide'), {
      status: 301,
      headers: { location: 'https://docs.example.com/guide/' },
    });
    t.match(await ask('/guide/'), { status: 200, body: 'guide' });
    t.match(await ask('/nothing'), { status: 404, headers: SECURITY });
  },
);

t.test(
  'a switch shows in one step, without a reload, and open pages keep their files',
  async (t) => {
    const before = await edge.ask('/');
    const etags = new Set<string>([String(before.headers.etag)]);
    let asking = true;
    const statuses = new Map<string, number>();
    const load = Array.from({ length: 4 }, async () => {
      while (asking) {
        const { status, body } = await edge.ask('/deep/link');
        const kind = `${status} ${/<title>(\w+)</.exec(body)?.[1]?.replace(/\d/, '') ?? body}`;
        statuses.set(kind, (statuses.get(kind) ?? 0) + 1);
      }
    });
    for (const version of ['Dk2', 'Dk3', 'Dk4']) {
      await publish('web', folder(`${t.testdir({ [version]: webFiles(version) })}/${version}`));
      const after = await edge.ask('/');
      t.match(after.body, version, 'new at once');
      etags.add(String(after.headers.etag));
    }
    asking = false;
    await Promise.all(load);
    t.strictSame(
      [...statuses.keys()],
      ['200 Dk'],
      `each of ${[...statuses.values()]} requests saw a whole page`,
    );
    t.equal(etags.size, 4, 'pages of the same length are never taken for unchanged');
    t.match(await edge.ask('/assets/index-Dk3T3x9Qa.js'), { status: 200 }, 'of the release before');
    t.match(await edge.ask('/assets/index-Dk2T3x9Qa.js'), { status: 404 });
    t.match(await edge.ask('/Dk4-0a1b2c3d.svg'), { status: 200 });
    t.match(await edge.ask('/Dk3-0a1b2c3d.svg'), { status: 404 }, 'what is no code is gone');
  },
);

t.test(
  'a build runs as nobody special, with its variables, and leaves nothing but its output',
  async (t) => {
    const context = t.testdir({
      'page.txt': 'built',
      node_modules: { big: 'x' },
      '.dockerignore': 'node_modules\n',
    });
    const source = buildSource({
      context,
      command:
        'mkdir -p out/deep && (cat page.txt; id -u; echo "$VITE_API"; ls -A) >out/index.html',
      output: 'out',
      image: await builtImage('node'),
      isOurs: true,
      env: { VITE_API: 'https://app.example.com/api?a="b"&c=$HOME' },
    });
    const release = await publish('web', source);
    const { body } = await edge.ask('/');
    t.match(body, /^built1000\nhttps:\/\/app\.example\.com\/api\?a="b"&c=\$HOME\n/);
    t.notMatch(body, /node_modules/);
    writeFileSync(join(context, 'node_modules/big'), 'y');
    t.equal(await publish('web', source), release, 'what is ignored makes no other release');
    const failing = {
      ...source,
      recipe: source.recipe.replace('cat page.txt', 'echo oh no; exit 3'),
    };
    await t.rejects(publish('web', failing), { code: 'image/build-failed', why: /oh no/ });
    t.equal((await edge.ask('/')).body, body, 'the old release is served');
  },
);

t.test('a folder of an image, which never runs', async (t) => {
  const source = { kind: 'image', image: nginxImage, folder: '/usr/share/nginx/html' } as const;
  const found = await docker(
    'run',
    '--rm',
    '--entrypoint',
    'cat',
    nginxImage,
    '/etc/debian_version',
  );
  t.match(found, /\S/, 'an image with more than a site');
  const missing = { ...source, folder: '/nothing/there' };
  const before = await edge.ask('/', { host: 'docs.example.com' });
  await t.rejects(publish('docs', missing), { code: 'image/build-failed', why: /nothing/ });
  t.equal((await edge.ask('/', { host: 'docs.example.com' })).body, before.body);
  await publish('docs', source);
  const page = await docker(
    'run',
    '--rm',
    '--entrypoint',
    'cat',
    nginxImage,
    `${source.folder}/index.html`,
  );
  const { status, body } = await edge.ask('/', { host: 'docs.example.com' });
  t.strictSame([status, body.trim()], [200, page.trim()]);
  t.equal((await edge.ask('/etc/debian_version', { host: 'docs.example.com' })).status, 404);
});
