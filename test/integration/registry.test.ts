import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import type { Engine, ImageState } from '../../installer/engine/engine.ts';
import { LocalHost } from '../../installer/host/local.ts';
import { buildImage, pullImage } from '../../installer/images/build.ts';
import { recordDigests } from '../../installer/images/record-digests.ts';
import { resolveImages } from '../../installer/images/resolve.ts';
import { EMPTY_LOCK, type LockFile } from '../../installer/model/lock-file.ts';
import { freePort } from './support/free-port.ts';

/** The registry road against Debian's own docker-registry on loopback, with a real engine. */

const PROGRAM = new URL('../../', import.meta.url).pathname;
const docker = (...argv: string[]): string =>
  execFileSync('docker', argv, { encoding: 'utf8' }).trim();
const host = new LocalHost();
const engine = {
  image: async (reference: string): Promise<ImageState | undefined> => {
    const { exitCode, stdout } = await host.run({
      argv: ['docker', 'image', 'inspect', '--format', '{{.Id}}', reference],
      okExitCodes: [0, 1],
    });
    return exitCode === 0 ? ({ id: stdout.trim() } as ImageState) : undefined;
  },
} as Engine;
t.teardown(() => host.close());

async function startRegistry(folder: string, port: number): Promise<ChildProcess> {
  mkdirSync(`${folder}/data`, { recursive: true });
  const config = {
    version: 0.1,
    storage: { filesystem: { rootdirectory: `${folder}/data` } },
    http: { addr: `127.0.0.1:${port}` },
  };
  writeFileSync(`${folder}/config.yml`, JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', `${folder}/config.yml`], { stdio: 'ignore' });
  const deadline = Date.now() + 120_000;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => undefined);
    if (answer?.ok === true) return child;
    if (Date.now() > deadline) throw new Error('docker-registry did not start');
    await delay(50);
  }
}

t.test('images from a real registry', { timeout: 900_000 }, async (t) => {
  const folder = t.testdir({
    context: { Dockerfile: 'FROM scratch\nCOPY who /who\n', who: 'one' },
  });
  const port = await freePort();
  const registry = await startRegistry(folder, port);
  const mirror = `127.0.0.1:${port}`;
  const made: string[] = [];
  t.teardown(() => {
    registry.kill();
    for (const reference of made) {
      try {
        docker('rmi', '--force', reference);
      } catch {
        // Already gone: the test removed it itself.
      }
    }
  });

  const publish = async (who: string, tag: string): Promise<void> => {
    writeFileSync(`${folder}/context/who`, who);
    const reference = `${mirror}/${tag}`;
    const action = {
      kind: 'build',
      context: `${folder}/context`,
      dockerfile: `${folder}/context/Dockerfile`,
      args: {},
    } as const;
    await buildImage(host, { project: 'test', service: 'web', reference, action }, () => undefined);
    made.push(reference);
    docker('push', '--quiet', reference);
    docker('rmi', reference);
  };
  await publish('one', 'acme/web:1');
  await publish('redis', 'library/redis:8.0.3');

  const resolve = (lock: LockFile = EMPTY_LOCK, refresh = false) =>
    resolveImages({
      host,
      engine,
      project: 'test',
      needs: [{ image: 'redis', version: '8', source: 'registry' }],
      registry: mirror,
      services: { web: { image: `${mirror}/acme/web:1` } },
      lock,
      programPath: PROGRAM,
      refresh,
    });

  const first = await resolve();
  const web = first.images.services['web'];
  await t.test('a tag is resolved to the digest of the registry', async (t) => {
    t.match(web?.reference, new RegExp(`^${mirror}/acme/web:1@sha256:[0-9a-f]{64}$`));
    t.match(web?.action, { kind: 'pull' });
    t.match(first.images.platform.redis, {
      reference: new RegExp(`^${mirror}/library/redis:8\\.0\\.3@sha256:`),
    });
    t.equal(first.images.registryAnswers, true);
  });

  await t.test('what is pulled by that digest is present in the next plan', async (t) => {
    await pullImage(host, web?.reference ?? '', () => undefined);
    made.push(web?.reference ?? '');
    const lock = { ...EMPTY_LOCK, ...first.lock };
    const second = await resolve(lock);
    t.match(second.images.services['web'], {
      reference: web?.reference,
      action: { kind: 'present' },
    });
    t.strictSame(await recordDigests(engine, lock), lock, 'digests of the registry stay');
  });

  await t.test('a moved tag changes nothing until an update asks for it', async (t) => {
    await publish('two', 'acme/web:1');
    const lock = { ...EMPTY_LOCK, ...first.lock };
    t.equal((await resolve(lock)).images.services['web']?.reference, web?.reference);
    t.not((await resolve(lock, true)).images.services['web']?.reference, web?.reference);
  });

  await t.test('an image that the registry lacks, and a digest that it lacks', async (t) => {
    await t.rejects(
      resolveImages({
        host,
        engine,
        project: 'test',
        needs: [],
        services: { web: { image: `${mirror}/acme/web:none` } },
        lock: EMPTY_LOCK,
        programPath: PROGRAM,
      }),
      { code: 'image/not-found' },
    );
    await t.rejects(
      pullImage(host, `${mirror}/acme/web@sha256:${'0'.repeat(64)}`, () => undefined),
      {
        code: 'image/pull-failed',
        why: /not found|manifest unknown/,
      },
    );
  });
});

t.test('a registry that takes the connection and says nothing is given up after 5 s', async (t) => {
  let asked = 0;
  const server = createServer((socket) => {
    asked += 1;
    // Given up by whoever waited; how is the business of the other side.
    socket.on('error', () => undefined).resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  await t.rejects(
    resolveImages({
      host,
      engine,
      project: 'test',
      needs: [],
      services: {
        a: { image: `127.0.0.1:${port}/a:1` },
        b: { image: `127.0.0.1:${port}/b:1` },
      },
      lock: EMPTY_LOCK,
      programPath: PROGRAM,
    }),
    { code: 'image/unreachable', why: /within 5 s/ },
  );
  t.equal(asked, 1, 'once for all images, so that nobody waits for each of them');
});

t.test('a Dockerfile that fails is shown with its last lines', async (t) => {
  const context = t.testdir({ Dockerfile: 'FROM scratch\nCOPY nothing-here /\n' });
  const lines: string[] = [];
  await t.rejects(
    buildImage(
      host,
      {
        project: 'test',
        service: 'web',
        reference: 'holdfast-build/test-web:none',
        action: { kind: 'build', context, dockerfile: `${context}/Dockerfile`, args: {} },
      },
      (line) => lines.push(line),
    ),
    { code: 'image/build-failed', what: /services\.web/, why: /nothing-here/ },
  );
  t.ok(lines.length > 0, 'progress is told line by line');
});
