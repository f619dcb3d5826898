import { createHash, X509Certificate } from 'node:crypto';
import type { ApplyRequest } from '../apply/apply.ts';
import { type Clock, SYSTEM_CLOCK } from '../apply/context.ts';
import { readText } from '../apply/read-text.ts';
import { edgeFolders } from '../components/nginx/places.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { FrontDoorCheck, FrontDoorFailure } from '../model/desired.ts';
import type { Report } from '../model/events.ts';
import type { Paths } from '../model/paths.ts';

/** How often one that failed is asked again, a second apart: nginx may have been started just now. */
const MORE_ATTEMPTS = 5;

/** For an answer, however soon the service's own check gives up: nginx and TLS stand between. */
const LEAST_SECONDS = 10;

/** Exit codes of curl(1): its time was over, and the certificate is not as it should be. */
const TIMED_OUT = 28;
const BAD_CERTIFICATE = 60;

interface Asking {
  readonly host: Host;
  readonly paths: Paths;
  readonly report: Report;
}

/**
 * For an apply: asks every service with an HTTP health check through nginx, over TLS, as a client would.
 * Only on routes that lead to the check's path; a service without such a route was checked directly. What failed
 * before and was left alone is told and holds up nobody else.
 * @param options `service`: the only one that changes, so that nothing else is asked
 */
export function frontDoor(
  host: Host,
  { paths, report }: Pick<Asking, 'paths' | 'report'>,
  { service: only, pause = SYSTEM_CLOCK.pause }: { service?: string; pause?: Clock['pause'] } = {},
): Required<Pick<ApplyRequest, 'verify' | 'badAnswers'>> {
  const asking: Asking = { host, paths, report };
  return {
    verify: async (desired, isExcused) => {
      for (const check of desired.frontDoor) {
        if (only !== undefined && check.service !== only) continue;
        const first = await ask(asking, check);
        if (first === undefined || (await isExcused(check, first))) continue;
        const last = await askAgain(() => ask(asking, check), pause);
        if (last === undefined) continue;
        throw new AppError({
          code: 'health/front-door',
          what: `https://${check.host}${check.path} does not answer as it should`,
          why: last.why,
          hint: 'holdfast logs nginx',
        });
      }
    },
    badAnswers: async (checks) => {
      const bad: FrontDoorCheck[] = [];
      for (const check of checks) {
        const failure = await ask({ ...asking, report: () => undefined }, check);
        if (failure?.isTaken === true) bad.push(check);
      }
      return bad;
    },
  };
}

/** The last failure; undefined as soon as the answer is good. */
async function askAgain(
  ask: () => Promise<FrontDoorFailure | undefined>,
  pause: Clock['pause'],
): Promise<FrontDoorFailure | undefined> {
  let failure: FrontDoorFailure | undefined;
  for (let attempt = 0; attempt < MORE_ATTEMPTS; attempt += 1) {
    await pause(1);
    failure = await ask();
    if (failure === undefined) break;
  }
  return failure;
}

async function ask(asking: Asking, check: FrontDoorCheck): Promise<FrontDoorFailure | undefined> {
  // The certificate itself is the anchor: whoever signed it, nginx must serve just this one.
  const path = `${edgeFolders(asking.paths).certificates}/${check.host}.crt`;
  const answer = await request(asking.host, check, ['--cacert', path]);
  if (answer.exitCode !== BAD_CERTIFICATE) return judge(check, answer);
  const leaf = endedCertificate(await readText(asking.host, path));
  if (leaf === undefined) return judge(check, answer);
  asking.report({
    kind: 'warning',
    code: 'certificate/ended',
    text: `the certificate of ${check.host} ended on ${leaf.validToDate.toISOString()}, and browsers refuse it: holdfast doctor`,
  });
  const key = leaf.publicKey.export({ type: 'spki', format: 'der' });
  const pin = `sha256//${createHash('sha256').update(key).digest('base64')}`;
  return judge(check, await request(asking.host, check, ['--insecure', '--pinnedpubkey', pin]));
}

/** One that has ended is served until another one is there: that is no fault of what stands behind it. */
function endedCertificate(pem: string | undefined): X509Certificate | undefined {
  const leaf = pem === undefined ? undefined : new X509Certificate(pem);
  return leaf !== undefined && leaf.validToDate.getTime() < Date.now() ? leaf : undefined;
}

interface Answer {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param trust how curl knows whom it speaks to */
async function request(
  host: Host,
  { host: name, path, timeoutSeconds = 0 }: FrontDoorCheck,
  trust: readonly string[],
): Promise<Answer> {
  const seconds = Math.max(LEAST_SECONDS, timeoutSeconds);
  return host.run({
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
      ...trust,
      '--write-out',
      '\\n%{http_code}%header{x-maintenance}',
      `https://${name}${path}`,
    ],
    okExitCodes: Array.from({ length: 100 }, (_, code) => code),
    timeoutSeconds: seconds + 10,
  });
}

function judge(
  { expect }: FrontDoorCheck,
  { exitCode, stdout, stderr }: Answer,
): FrontDoorFailure | undefined {
  if (exitCode !== 0) return { why: stderr.trim(), isTaken: exitCode === TIMED_OUT };
  const split = stdout.lastIndexOf('\n');
  const status = stdout.slice(split + 1);
  // Closed on purpose, and a limit that counts this server too: the services were checked directly.
  if (status === '503on' || status === '429') return undefined;
  if (!/^[23]\d\d$/.test(status)) return { why: `it answered ${status}`, isTaken: true };
  if (expect !== undefined && !stdout.slice(0, split).includes(expect)) {
    return { why: `its answer does not hold ${JSON.stringify(expect)}`, isTaken: true };
  }
  return undefined;
}
