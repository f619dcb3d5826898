import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { builtImage, docker } from '../../support/containers.ts';
import type { Machine } from './machine.ts';

/** Nobody listens there: the images are on this machine, and a look at the registry ends at once. */
export const REPOSITORY = '127.0.0.1:1/deploytest';

/**
 * Answers with its version, its name, the bytes that it was sent, whom nginx has seen, and when it had been found
 * healthy often enough (twice; milliseconds since the epoch). `/die` ends it as a crash does; one that fades is sick
 * from its first client on.
 */
const PROGRAM = `
const [kind, version] = require('node:fs').readFileSync('/kind', 'utf8').split(' ');
if (process.argv[2] === 'migrate') {
  if (kind === 'unmigratable') { console.error('column exists already'); process.exit(1); }
  process.exit(0);
}
if (kind === 'crashing') { console.error('cannot find module app'); process.exit(3); }
const { createServer } = require('node:http');
const { createHash } = require('node:crypto');
const asked = [];
let isSick = kind === 'sick';
const server = createServer((request, response) => {
  if (request.url === '/health') asked.push(Date.now());
  if (request.url === '/health') return response.writeHead(isSick ? 500 : 200).end();
  if (kind === 'fading') isSick = true;
  if (request.url === '/die') process.exit(9);
  let bytes = 0;
  request.on('data', (chunk) => { bytes += chunk.length; });
  request.on('end', () => {
    const client = request.headers['x-real-ip'];
    const answer = version + ' ' + require('node:os').hostname() + ' ' + bytes + ' ' + client + ' ' + asked[1];
    setTimeout(() => response.end(answer), request.url === '/slow' ? 700 : 0);
  });
});
const sockets = new Set();
server.on('upgrade', (request, socket) => {
  const key = createHash('sha1').update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: ' + key + '\\r\\n\\r\\n');
  sockets.add(socket);
  socket.on('error', () => {}).on('close', () => sockets.delete(socket)).resume();
});
process.on('SIGTERM', () => {
  // A close frame with 1001, "going away", tells a client to connect anew.
  for (const socket of sockets) socket.end(Buffer.from([0x88, 2, 0x03, 0xe9]));
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
server.listen(3000);
`;

export type Kind = 'good' | 'crashing' | 'sick' | 'fading' | 'unmigratable';

/** An image that only this machine has. @returns its reference */
export async function buildRelease(
  folder: string,
  kind: Kind,
  version: string,
  repository = REPOSITORY,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'app.cjs'), PROGRAM);
  await writeFile(join(folder, 'kind'), `${kind} ${version}`);
  const dockerfile = `FROM ${await builtImage('node')}\nCOPY app.cjs kind /\nCMD ["node", "/app.cjs"]\n`;
  await writeFile(join(folder, 'Dockerfile'), dockerfile);
  const reference = `${repository}:${version}`;
  await docker('build', '--quiet', '--tag', reference, folder);
  return reference;
}

/** Moves an image from this machine's engine to that of another one. */
export async function moveImage(machine: Machine, reference: string): Promise<void> {
  await copyImages(machine, [reference]);
  await docker('image', 'rm', '--force', reference);
}

/** So that the machine's engine has them under the same references. */
export async function copyImages(machine: Machine, references: readonly string[]): Promise<void> {
  const save = spawn('docker', ['save', ...references], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [file, ...args] = machine.ssh('docker', 'load', '--quiet');
  const load = spawn(file, args, { stdio: [save.stdout, 'ignore', 'inherit'] });
  const [code] = await once(load, 'close');
  if (code !== 0) throw new Error(`bringing images to ${machine.name}: ssh exited ${code}`);
}
