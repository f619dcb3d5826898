import { setTimeout } from 'node:timers/promises';
import { connect, type PeerCertificate } from 'node:tls';
import { type OwnFile, replaceOwnFiles } from '../apply/replace-files.ts';
import { edgeFolders, NGINX_UID, pairFile, pairText } from '../components/nginx/places.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { LABELS } from '../model/labels.ts';
import { NGINX } from '../model/nginx-reload.ts';
import type { Paths } from '../model/paths.ts';
import { standInContainers } from '../rollout/stand-in.ts';
import { type CertificatePair, certificatesIn } from '../tls/certificate-pair.ts';
import { runningContainer } from './containers.ts';
import type { Server } from './context.ts';

/** New connections go to the new workers soon after a reload. */
const SERVED_SECONDS = 20;

/**
 * Puts certificates beside nginx and lets it read them; looks on the wire whether it serves them.
 * Writes and reloads nothing when they are there already, so that it also ends what a killed run began.
 * @returns the hosts whose certificate changed
 * @throws AppError `engine/reload-refused`, `certificate/not-served`
 */
export async function installCertificates(
  server: Server,
  paths: Paths,
  pairs: ReadonlyMap<string, CertificatePair>,
): Promise<readonly string[]> {
  const { host } = server;
  const folder = edgeFolders(paths).certificates;
  const due = await notInstalled(host, folder, pairs);
  await replaceOwnFiles(host, paths, {
    files: due.flatMap(([name, pair]) => filesOf(folder, name, pair)),
    reaction: { kind: 'reload', service: 'nginx' },
    react: () => reloadNginx(server, paths),
  });
  return due.map(([name]) => name);
}

/** As the component of nginx renders them. */
function filesOf(folder: string, name: string, pair: CertificatePair): OwnFile[] {
  return [
    {
      path: `${folder}/${pairFile(name)}`,
      content: pairText(pair),
      mode: 0o400,
      uid: NGINX_UID,
      gid: NGINX_UID,
    },
    { path: `${folder}/${name}.crt`, content: pair.certificate, mode: 0o644, uid: 0, gid: 0 },
  ];
}

async function notInstalled(
  host: Host,
  folder: string,
  pairs: ReadonlyMap<string, CertificatePair>,
): Promise<(readonly [string, CertificatePair])[]> {
  const holds = async (path: string, wanted: string): Promise<boolean> =>
    new TextDecoder().decode(await host.read(path)) === wanted;
  const due: (readonly [string, CertificatePair])[] = [];
  for (const [name, pair] of pairs) {
    const isThere =
      (await holds(`${folder}/${name}.crt`, pair.certificate)) &&
      (await holds(`${folder}/${pairFile(name)}`, pairText(pair)));
    if (!isThere) due.push([name, pair]);
  }
  return due;
}

async function reloadNginx(server: Server, paths: Paths): Promise<void> {
  const nginx = await runningContainer(server, paths, 'nginx');
  const { [LABELS.project]: project = '' } = nginx.labels;
  const others = await standInContainers({ engine: server.engine, project }, 'nginx');
  // One that a killed apply left may be the one that clients reach.
  const standIns = others.filter(({ status }) => status === 'running');
  const steps = [nginx, ...standIns].flatMap(({ id }) =>
    [NGINX.test, NGINX.reload].map((argv) => ({ id, argv })),
  );
  for (const { id, argv } of steps) {
    const { exitCode, stderr } = await server.engine.exec(id, { argv });
    if (exitCode === 0) continue;
    throw new AppError({
      code: 'engine/reload-refused',
      what: 'nginx does not accept the renewed certificates; it goes on with the old ones',
      why: stderr.trim(),
      hint: 'holdfast apply',
    });
  }
}

export interface EdgeAddress {
  readonly address: string;
  readonly port: number;
}

/**
 * Compares the serial number that nginx shows on the wire with the one that it shall serve.
 * @throws AppError `certificate/not-served`
 */
export async function checkServed(
  { address, port }: EdgeAddress,
  name: string,
  { certificate }: CertificatePair,
): Promise<void> {
  const wanted = certificatesIn(certificate)[0]?.serialNumber;
  const deadline = Date.now() + SERVED_SECONDS * 1000;
  for (;;) {
    const served = await servedSerial(address, port, name);
    if (served === wanted) return;
    if (Date.now() > deadline) {
      throw new AppError({
        code: 'certificate/not-served',
        what: `nginx does not serve the new certificate of ${name}`,
        why: `on the wire is ${served}, on the disk ${wanted}`,
        hint: 'holdfast logs nginx; then: holdfast apply',
      });
    }
    await setTimeout(500);
  }
}

/** The serial number, or what went wrong in its place. */
function servedSerial(address: string, port: number, name: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({
      host: address,
      port,
      servername: name,
      // Only looked at: whoever signed it.
      rejectUnauthorized: false,
      timeout: 5000,
    });
    socket.on('secureConnect', () => {
      const shown: Partial<PeerCertificate> = socket.getPeerCertificate();
      resolve(shown.serialNumber ?? 'no certificate');
      socket.destroy();
    });
    socket.on('timeout', () => socket.destroy(new Error('no answer')));
    socket.on('error', (error) => resolve(error.message));
  });
}
