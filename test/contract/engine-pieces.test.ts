import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { DockerEngine } from '../../installer/engine/docker.ts';
import { engineError, unreachable } from '../../installer/engine/engine-error.ts';
import { demultiplex } from '../../installer/engine/frames.ts';
import { commonVersion } from '../../installer/engine/negotiate.ts';
import { memoryInUse } from '../../installer/engine/stats.ts';

function frame(output: 1 | 2, text: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = output;
  header.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([header, Buffer.from(text)]);
}

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function split(bytes: Buffer, size: number): Promise<{ stdout: string; stderr: string }> {
  const texts = { stdout: '', stderr: '' };
  for await (const { output, chunk } of demultiplex(pieces(bytes, size))) {
    texts[output] += chunk.toString('latin1');
  }
  return texts;
}

t.test('both outputs come apart wherever the network cuts the stream', async (t) => {
  const bytes = Buffer.concat([frame(1, 'one '), frame(2, 'err'), frame(1, ''), frame(1, 'two')]);
  for (let size = 1; size <= bytes.length; size += 1) {
    t.strictSame(await split(bytes, size), { stdout: 'one two', stderr: 'err' });
  }
});

t.test('a stream that ends inside a frame or a header is cut', async (t) => {
  const bytes = frame(1, 'whole');
  for (let length = 1; length < bytes.length; length += 1) {
    await t.rejects(split(bytes.subarray(0, length), 4), { code: 'engine/stream-cut' });
  }
  t.strictSame(await split(Buffer.alloc(0), 4), { stdout: '', stderr: '' });
});

t.test('a long frame is handed on before it is whole', async (t) => {
  const bytes = frame(1, 'x'.repeat(100));
  const first = await demultiplex(pieces(bytes, 20)).next();
  t.equal(first.value?.chunk.length, 12);
});

t.test('the API version is the newest that both know', async (t) => {
  t.equal(commonVersion({ newest: '1.41', oldest: '1.12' }), '1.41', 'engine 20.10');
  t.equal(commonVersion({ newest: '1.45', oldest: '1.24' }), '1.45', 'engine 26.1');
  t.equal(commonVersion({ newest: '1.52', oldest: '1.44' }), '1.47', 'engine 29');
  t.equal(commonVersion({ newest: '1.60', oldest: '1.50' }), '1.50', 'an engine to come');
});

t.test('memory in use leaves page cache out under both cgroup versions', async (t) => {
  t.equal(memoryInUse({ usage: 100, stats: { inactive_file: 40 } }), 60);
  t.equal(memoryInUse({ usage: 100, stats: { total_inactive_file: 30, inactive_file: 40 } }), 70);
  t.equal(memoryInUse({ usage: 100 }), 100);
  t.equal(memoryInUse({}), 0);
});

t.test(
  'an engine that cannot be reached is told from one that refuses, and from a bug',
  async (t) => {
    const refused = Object.assign(new Error('connect ENOENT'), { code: 'ENOENT' });
    t.match(engineError('h', 'look', refused), { code: 'engine/unreachable' });
    const missing = Object.assign(new Error('x'), {
      statusCode: 404,
      json: { message: 'No such' },
    });
    t.match(engineError('h', 'look', missing), { code: 'engine/not-found', why: 'No such' });
    const bug = new TypeError('x is undefined');
    t.equal(engineError('h', 'look', bug), bug);
    const forbidden = Object.assign(new Error('connect EACCES'), { code: 'EACCES' });
    t.match(engineError('h', 'look', forbidden), { hint: /as root/ }, 'it runs, but not for us');
    const known = unreachable('h', 'why');
    t.equal(engineError('h', 'look', known), known);
  },
);

/** An engine of which only the answers matter. */
async function listen(t: Test, answer: RequestListener): Promise<string> {
  // The path of a socket has 107 bytes at most.
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  const socketPath = join(folder, 'engine.sock');
  const server = createServer(answer);
  server.listen(socketPath);
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
    return rm(folder, { recursive: true });
  });
  return socketPath;
}

t.test('an engine that is replaced by a newer one is asked again for its version', async (t) => {
  const engineVersion = { ApiVersion: '1.41', MinAPIVersion: '1.12' };
  const asked: string[] = [];
  const socketPath = await listen(t, ({ url = '' }, response) => {
    asked.push(url.split('?')[0] ?? '');
    if (url === '/version') return response.end(JSON.stringify(engineVersion));
    if (url.startsWith('/v1.41/') && engineVersion.MinAPIVersion === '1.44') {
      const message = 'client version 1.41 is too old. Minimum supported API version is 1.44';
      return response.writeHead(400).end(JSON.stringify({ message }));
    }
    return response.end('[]');
  });
  const engine = new DockerEngine({ socketPath });
  await engine.containers({});
  await engine.containers({});
  Object.assign(engineVersion, { ApiVersion: '1.52', MinAPIVersion: '1.44' });
  t.strictSame(await engine.containers({}), []);
  t.strictSame(asked, [
    '/version',
    '/v1.41/containers/json',
    '/v1.41/containers/json',
    '/v1.41/containers/json',
    '/version',
    '/v1.47/containers/json',
  ]);
});

t.test('an engine that hangs is given up', async (t) => {
  const socketPath = await listen(t, () => undefined);
  const engine = new DockerEngine({ socketPath, lookSeconds: 0.2 });
  await t.rejects(engine.info(), { code: 'engine/unreachable', why: /within 0\.2 s/ });
});

t.test('an engine that starts later is found by the next call', async (t) => {
  let ready = false;
  const socketPath = await listen(t, ({ url }, response) => {
    if (!ready) response.destroy();
    else response.end(url === '/version' ? '{"ApiVersion":"1.41"}' : '[]');
  });
  const engine = new DockerEngine({ socketPath });
  await t.rejects(engine.containers({}), { code: 'engine/unreachable' });
  ready = true;
  t.strictSame(await engine.containers({}), []);
});
