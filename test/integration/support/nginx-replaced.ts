import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import type { Test } from 'tap';
import { Load } from '../../support/load.ts';
import { withDockerMet } from './docker-met.ts';
import type { Machine } from './machine.ts';
import { AS_OUTSIDE, OUTSIDE } from './outside.ts';
import { buildRelease, moveImage } from './releases.ts';

/** Its images leave this machine again: they are no other test's. */
export const APP_REPOSITORY = '127.0.0.1:1/machinetest';
export const APP_HOST = 'app.example.com';
const HOST = APP_HOST;
const MARK = '/run/holdfast-stand-in';
const CA = '/var/lib/holdfast/tls/private-ca/ca.crt';
/** What a client of a WebSocket sees when its connection ends without one. */
const NO_CLOSE_FRAME = 1006;
const STAND_IN = 'label=io.holdfast.stand-in';

/**
 * nginx gets another image, then other limits, under clients that never ask twice: from outside over IPv4 and IPv6, and
 * over loopback through Docker's proxy. An apply is killed when nginx itself is stopped. Leaves the machine with one that is killed
 * when connections have just been sent to the stand-in, for a power cut to follow.
 * @param configText of the platform, without a service
 */
export async function nginxIsReplaced(
  t: Test,
  machine: Machine,
  { path, text: configText }: { readonly path: string; readonly text: string },
): Promise<void> {
  const ok = async (...command: string[]): Promise<string> => {
    const { code, stdout, stderr } = await machine.exec(...command);
    if (code === 0) return stdout;
    throw new Error(`${command.join(' ')} exited ${code}\n${stdout.slice(-3000)}\n${stderr}`);
  };
  const apply = (): Promise<string> => ok('holdfast', 'apply', '--yes', '--config', path);
  const nginx = (): Promise<string> =>
    ok('docker', 'ps', '--all', '--quiet', '--filter', 'name=plain-nginx-1');
  const configure = (connections: number): Promise<string> =>
    ok(...['sh', '-c', 'printf %s "$1" >"$2"', 'sh'], configText + serviceText(connections), path);
  /** An apply on the machine that is killed where it would begin this docker command. */
  const killedAt = async (words: string): Promise<void> => {
    const met = await withDockerMet(machine, { words, instead: 'kill -KILL "$PPID"; exit 1' }, [
      'holdfast',
      'apply',
      '--yes',
      '--config',
      path,
    ]);
    if (!met.happened) throw new Error(`never ${words}: ${met.stdout} ${met.stderr}`);
  };
  const left = async (): Promise<string[]> => [
    await ok('docker', 'ps', '--all', '--quiet', '--filter', STAND_IN),
    await ok('sh', '-c', 'nft list tables | grep stand_in || true'),
    await ok('sh', '-c', `ls ${MARK} 2>/dev/null || true`),
  ];

  await moveImage(machine, await buildRelease(t.testdir(), 'good', '1', APP_REPOSITORY));
  await configure(512);
  await apply();

  const ca = await ok('cat', CA);
  const load = new Load({ address: machine.address, port: 443, host: HOST, ca });
  const loopback = spawnClient(machine, { to: '127.0.0.1' });
  const [client, other] = OUTSIDE.clients;
  // The second has a request in hand at every moment.
  const overIpv6 = ['/', '/slow'].map((path) =>
    spawnClient(machine, { to: `[${OUTSIDE.machine}]`, from: client, path }),
  );
  try {
    load.phase = 'another image';
    const image = (
      await ok(
        'docker',
        'inspect',
        '--format',
        '{{.Config.Image}}',
        await nginx().then((id) => id.trim()),
      )
    ).trim();
    await ok(
      'sh',
      '-c',
      `echo "FROM ${image}\nLABEL newer=yes" | docker build --quiet --tag ${image} -`,
    );
    t.match(
      await ok('holdfast', 'plan', '--config', path).catch(String),
      /a stand-in answers meanwhile/,
    );
    await apply();
    t.strictSame(await left(), ['', '', ''], 'nothing of it is left');

    load.phase = 'killed when nginx itself is stopped';
    await configure(640);
    const before = await nginx();
    await killedAt('*" up "*" --force-recreate "*nginx');
    t.equal(await ok('docker', 'ps', '--quiet', '--filter', 'name=plain-nginx-1'), '');
    const high = await ok('grep', '--only-matching', 'redirect to :[0-9]*', MARK);
    for (const port of new Set(high.match(/\d+/g) ?? ['none'])) {
      t.notOk(await isOpen(machine.address, Number(port)), `port ${port} answers nobody outside`);
    }
    load.phase = 'applied again';
    await apply();
    t.not(await nginx(), before);
    t.strictSame(await left(), ['', '', ''], 'what was left is gone');
    t.match(await ok('holdfast', 'apply', '--yes', '--config', path), /Nothing to do/);
  } finally {
    await load.stop();
    loopback.stop();
    for (const one of overIpv6) one.stop();
  }
  t.comment(`${load.requests} requests, WebSockets closed with ${load.closedSockets.join(' ')}`);
  t.ok(load.requests > 200, `${load.requests} requests`);
  // A reset, or a WebSocket that did not get through again, would be among them.
  t.strictSame(Object.fromEntries(load.failures), {}, 'no request failed');
  t.ok(load.closedSockets.includes(NO_CLOSE_FRAME), 'nginx cannot tell WebSockets why they end');
  t.equal(load.clients.size, 1, 'the service sees one client');
  t.strictSame([...load.clients], [await addressFrom(machine)], 'and it is the one that asks');
  t.match(await loopback.said, /^[1-9]\d* answers\n$/, 'nor one over loopback');
  for (const { said } of overIpv6) {
    const text = await said;
    t.match(text, /^[1-9]\d* answers\n$/, 'nor over IPv6, and it is seen throughout');
    t.comment(`over IPv6: ${text.trim()}`);
  }
  t.equal(await askOffice(machine, other), '200', 'who is let in by an address of IPv6');
  t.equal(await askOffice(machine, client), '403', 'is told from who is not');

  await configure(512);
  await killedAt('"container stop -t5 "*');
  t.equal((await machine.exec('test', '-e', MARK)).code, 0, 'connections go to the stand-in');
}

function serviceText(connections: number): string {
  return `http: { workerConnections: ${connections} }
services:
  app:
    image: ${APP_REPOSITORY}:1
    port: 3000
    health: { path: /health, interval: 1s, timeout: 2s }
    routes: [{ host: ${HOST}, path: / }, { host: ${HOST}, path: /live, websocket: true }, { host: ${HOST}, path: /office/, allowFrom: ["${OUTSIDE.clients[1]}"] }]
`;
}

/** What every request needs, whoever asks. */
const ASK = `curl --silent --noproxy '*' --max-time 20 --cacert ${CA}`;

/**
 * One connection for each request: from the machine itself, or from an address outside, as which the service has to see
 * it. A request that fails is told with curl's exit code.
 */
function spawnClient(
  machine: Machine,
  { to, from, path = '/' }: { readonly to: string; readonly from?: string; readonly path?: string },
): { stop(): void; said: Promise<string> } {
  // What is slow by itself is asked again at once; the others leave the processors to what is done meanwhile.
  const pause = path === '/slow' ? '' : '  sleep 0.2\n';
  const mark = `/tmp/asking-${from ?? 'itself'}${path.replace('/', '-')}`;
  const outside = from === undefined ? '' : `${AS_OUTSIDE.join(' ')} `;
  const source = from === undefined ? '' : `--interface ${from} `;
  const script = `count=0
while [ -e ${mark} ]; do
  said=$(${outside}${ASK} --fail ${source}--resolve '${HOST}:443:${to}' https://${HOST}${path}) || echo "failed: $?"
  case "$said " in *' ${from ?? ''}'*) ;; *) echo "seen: $said" ;; esac
  count=$((count + 1))
${pause}done
echo "$count answers"`;
  const [file, ...args] = machine.ssh('sh', '-c', `touch ${mark}; ${script}`);
  const client = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  client.stdout.on('data', (chunk: Buffer) => (text += chunk));
  return {
    stop: () => void machine.exec('rm', mark),
    said: once(client, 'close').then(() => text),
  };
}

/** @returns the status that a client over IPv6 gets where only some are let in */
async function askOffice(machine: Machine, from: string): Promise<string> {
  const resolve = `--resolve '${HOST}:443:[${OUTSIDE.machine}]'`;
  const ask = `${ASK} --interface ${from} ${resolve} --output /dev/null --write-out '%{http_code}'`;
  const forged = "--header 'X-Forwarded-For: 2001:db8::8'";
  const script = `${AS_OUTSIDE.join(' ')} ${ask} ${forged} https://${HOST}/office/`;
  return (await machine.exec('sh', '-c', script)).stdout;
}

/** Whether somebody on this machine can connect; what is dropped counts as closed after two seconds. */
function isOpen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: 2000 });
    const end = (isIt: boolean) => {
      socket.destroy();
      resolve(isIt);
    };
    socket.on('connect', () => end(true));
    socket.on('timeout', () => end(false));
    socket.on('error', () => end(false));
  });
}

/** The address by which this process reaches the machine. */
function addressFrom(machine: Machine): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: machine.address, port: 22 });
    socket.on('error', reject).on('connect', () => {
      resolve(socket.localAddress);
      socket.destroy();
    });
  });
}
