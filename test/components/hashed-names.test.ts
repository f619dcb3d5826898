import t from 'tap';
import { CODE_PATH, HASHED_PATH } from '../../installer/components/nginx/hashed-names.ts';

const HASHED = [
  '/assets/index-DkT3x9Qa.js',
  '/assets/index-DkTaxbQa.js',
  '/assets/a-B_x-9d3k.css',
  '/assets/logo-Cq3WgP7x.svg',
  '/assets/gone-a1-B2c3D.js',
  '/main.0a1b2c3d.css',
  '/js/app.3f2a9c81b7.js',
  '/main-KDAJDQWE.js',
  '/styles-5INURTSO.css',
  '/img/photo-Xk3_9dQ2.png',
  '/_next/static/chunks/main.js',
  '/static/media/logo.svg',
];

const PLAIN = [
  '/og-1200x630.png',
  '/banner-1920x1080.jpg',
  '/a-1920X1080.png',
  '/price-20261130.pdf',
  '/a-2026-11-30.pdf',
  '/lib-20261130.js',
  '/logo-Original.svg',
  '/logo-Version2.svg',
  '/report-Q3Final2026.pdf',
  '/photo-IMG_1234.jpg',
  '/a-PRODUCTS.pdf',
  '/team-JohnSmith.jpg',
  '/img-facade.png',
  '/x-deadbeef.png',
  '/jquery-3.7.1.min.js',
  '/font-Inter-Regular.woff2',
  '/assets/banner-1920x1080.jpg',
  '/assets/price-20261130.pdf',
  '/assets/price-11-30-26.pdf',
  '/assets/logo-Original.svg',
  '/assets/team-AnnSmith.jpg',
  '/assets/icon-small-16.svg',
  '/assets/plain.css',
];

t.test('a hash is told from sizes, dates and words', async (t) => {
  const isHashed = new RegExp(HASHED_PATH);
  t.strictSame(
    HASHED.filter((path) => !isHashed.test(path)),
    [],
  );
  t.strictSame(
    PLAIN.filter((path) => isHashed.test(path)),
    [],
  );
});

t.test('code is what the release before is asked for', async (t) => {
  const isCode = new RegExp(CODE_PATH);
  const code = ['/a.js', '/a.mjs', '/a.css', '/a.wasm', '/a.js.map', '/a.woff2', '/a.ttf'];
  t.strictSame(
    [...code, '/a.svg', '/a.pdf', '/a.html', '/a.json', '/ajs'].filter((path) => isCode.test(path)),
    code,
  );
});
