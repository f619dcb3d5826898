import { edgeFolders } from '../components/nginx/places.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Desired } from '../model/desired.ts';
import type { Paths } from '../model/paths.ts';

/**
 * Asks every service with an HTTP health check once through nginx, over TLS, as a client would.
 * Only on routes that lead to the check's path; a service without such a route was checked directly.
 * @throws AppError `health/front-door`
 */
export async function verifyFrontDoor(host: Host, paths: Paths, desired: Desired): Promise<void> {
  for (const { host: name, path, expect } of desired.frontDoor) {
    const failure = await ask(host, paths, name, path, expect);
    if (failure === undefined) continue;
    throw new AppError({
      code: 'health/front-door',
      what: `https://${name}${path} does not answer as it should`,
      why: failure,
      hint: 'holdfast logs nginx',
    });
  }
}

async function ask(
  host: Host,
  paths: Paths,
  name: string,
  path: string,
  expect: string | undefined,
): Promise<string | undefined> {
  const { exitCode, stdout, stderr } = await host.run({
    argv: [
      'curl',
      '--silent',
      '--show-error',
      '--noproxy',
      '*',
      '--max-time',
      '10',
      '--retry',
      '5',
      '--retry-delay',
      '1',
      '--retry-all-errors',
      '--connect-to',
      `${name}:443:127.0.0.1:443`,
      '--cacert',
      // The certificate itself is the anchor: whoever signed it, nginx must serve just this one.
      `${edgeFolders(paths).certificates}/${name}.crt`,
      '--write-out',
      '\\n%{http_code}%header{x-maintenance}',
      `https://${name}${path}`,
    ],
    okExitCodes: Array.from({ length: 100 }, (_, code) => code),
    timeoutSeconds: 90,
  });
  if (exitCode !== 0) return stderr.trim();
  const split = stdout.lastIndexOf('\n');
  const status = stdout.slice(split + 1);
  // Closed on purpose: the services were checked directly.
  if (status === '503on') return undefined;
  if (!/^[23]\d\d$/.test(status)) return `it answered ${status}`;
  if (expect !== undefined && !stdout.slice(0, split).includes(expect)) {
    return `its answer does not hold ${JSON.stringify(expect)}`;
  }
  return undefined;
}
