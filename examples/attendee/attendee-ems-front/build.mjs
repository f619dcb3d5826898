// A stand-in for `vite build`: the same output, a page and hashed assets that know their build variables.
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';

const settings = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => name.startsWith('VITE_')),
);
const script = readFileSync('src/main.js', 'utf8').replace(
  '__SETTINGS__',
  JSON.stringify(settings),
);
const name = `index-${createHash('sha256').update(script).digest('base64url').slice(0, 8)}.js`;

mkdirSync('dist/assets', { recursive: true });
cpSync('public', 'dist', { recursive: true });
writeFileSync(`dist/assets/${name}`, script);
const page = readFileSync('index.html', 'utf8');
writeFileSync('dist/index.html', page.replace('/src/main.js', `/assets/${name}`));
