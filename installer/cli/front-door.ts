import type { ApplyRequest } from '../apply/apply.ts';
import { type Clock, SYSTEM_CLOCK } from '../apply/context.ts';
import { edgeFolders } from '../components/nginx/places.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { FrontDoorCheck } from '../model/desired.ts';
import type { Paths } from '../model/paths.ts';

/** How often one that failed is asked again, a second apart: nginx may have been started just now. */
const MORE_ATTEMPTS = 5;

/** For an answer, however soon the service's own check gives up: nginx and TLS stand between. */
const LEAST_SECONDS = 10;

/**
 * For the end of an apply: asks every service with an HTTP health check through nginx, over TLS, as a client would.
 * Only on routes that lead to the check's path; a service without such a route was checked directly. One that was
 * sick before, and that this apply left alone, is told and holds up nobody else.
 */
export function verifyFrontDoor(
  host: Host,
  paths: Paths,
  pause: Clock['pause'] = SYSTEM_CLOCK.pause,
): NonNullable<ApplyRequest['verify']> {
  return async (desired, isSickItself) => {
    for (const check of desired.frontDoor) {
      const first = await ask(host, paths, check);
      if (first === undefined) continue;
      const { service, host: name, path } = check;
      if (service !== undefined && (await isSickItself(service, first))) continue;
      const last = await askAgain(() => ask(host, paths, check), pause);
      if (last === undefined) continue;
      throw new AppError({
        code: 'health/front-door',
        what: `https://${name}${path} does not answer as it should`,
        why: last,
        hint: 'holdfast logs nginx',
      });
    }
  };
}

/** The last failure; undefined as soon as the answer is good. */
async function askAgain(
  ask: () => Promise<string | undefined>,
  pause: Clock['pause'],
): Promise<string | undefined> {
  let failure: string | undefined;
  for (let attempt = 0; attempt < MORE_ATTEMPTS; attempt += 1) {
    await pause(1);
    failure = await ask();
    if (failure === undefined) break;
  }
  return failure;
}

async function ask(
  host: Host,
  paths: Paths,
  { host: name, path, expect, timeoutSeconds = 0 }: FrontDoorCheck,
): Promise<string | undefined> {
  const seconds = Math.max(LEAST_SECONDS, timeoutSeconds);
  const { exitCode, stdout, stderr } = await host.run({
    argv: [
      'curl',
      '--silent',
      '--show-error',
      '--noproxy',
      '*',
      '--max-time',
      String(seconds),
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
    timeoutSeconds: seconds + 10,
  });
  if (exitCode !== 0) return stderr.trim();
  const split = stdout.lastIndexOf('\n');
  const status = stdout.slice(split + 1);
  // Closed on purpose, and a limit that counts this server too: the services were checked directly.
  if (status === '503on' || status === '429') return undefined;
  if (!/^[23]\d\d$/.test(status)) return `it answered ${status}`;
  if (expect !== undefined && !stdout.slice(0, split).includes(expect)) {
    return `its answer does not hold ${JSON.stringify(expect)}`;
  }
  return undefined;
}
