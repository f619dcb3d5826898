import type { RenewResult, WaitResult } from '../acme/renew.ts';
import { withLock } from '../apply/lock.ts';
import { thisProcess } from '../apply/process-identity.ts';
import { env } from '../env.ts';
import { EXIT_CODES } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { CERTIFICATE_SETTINGS, type CertificateSettings } from '../model/certificate-settings.ts';
import type { Paths } from '../model/paths.ts';
import { signedCertificates } from '../tls/certificates.ts';
import { appliedAgentSettings } from './applied.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext, Server } from './context.ts';
import { errorText } from './display/error.ts';
import { styleFor } from './display/style.ts';
import { checkServed, type EdgeAddress, installCertificates } from './install-certificates.ts';
import { renewPublic } from './renew-public.ts';
import { appliedContext } from './server-context.ts';

/** Waits this long for another run and for an apply, seconds. */
const LOCK_SECONDS = 600;

export interface RenewRequest {
  readonly urgentOnly: boolean;
  readonly force: boolean;
  /** Where proofs are looked for; 80 but in tests. */
  readonly httpPort?: number;
  /** Patience for one answer of the authority. */
  readonly answerSeconds?: number;
  readonly edge?: EdgeAddress;
}

export interface RenewOutcome {
  /** Of the public authority; empty where none is asked. */
  readonly results: readonly RenewResult[];
  /** Hosts whose certificate is another one now. */
  readonly changed: readonly string[];
  /** Hosts in all. */
  readonly hosts: number;
}

/**
 * `holdfast certificates renew`: gets and renews what is due, gives it to nginx and looks on the wire.
 * The agent runs it every day, and with `--urgent` every hour.
 */
export async function certificatesRenew(
  args: ParsedArguments,
  context: CliContext,
): Promise<number> {
  const server = await context.open();
  if ((await certificateSettings(server.host, context.paths)).source === 'files') {
    context.io.out('The certificates are given files: renew them where they come from.\n');
    return 0;
  }
  const outcome = await renewOnServer(context, server, {
    urgentOnly: args.flag('urgent'),
    force: args.flag('now'),
  });
  return printOutcome(context, outcome);
}

/** Exit code of the command. */
export function printOutcome(
  { io, now }: CliContext,
  { results, changed, hosts }: RenewOutcome,
): number {
  for (const result of results) {
    if (result.outcome === 'failed') {
      io.err(errorText(result.error, styleFor(io.color)));
    } else if (result.outcome === 'wait' && result.until > now()) {
      io.err(`${waitText(result)}.\n`);
    } else if (result.outcome === 'unserved') {
      io.out(`${result.name} does not lead here yet: nothing is asked for.\n`);
    }
  }
  io.out(
    changed.length === 0
      ? `${hosts} certificates, none is new.\n`
      : `Renewed: ${changed.join(', ')}.\n`,
  );
  return results.some(({ outcome }) => outcome === 'failed') ? EXIT_CODES.certificate : 0;
}

const WAITS: Readonly<Record<WaitResult['why'], string>> = {
  asked: 'the authority asked for this pause',
  limit: 'more attempts an hour, or certificates a week, run into the limits of authorities',
  backoff: 'the last attempt failed, and `holdfast certificates renew --now` does not wait',
};

/** Until when nobody asks for a certificate, and why. */
export function waitText({ name, until, why, problem }: WaitResult): string {
  const time = until.toISOString().slice(0, 16).replace('T', ' ');
  const before = problem === undefined ? '' : ` (${problem.what})`;
  return `the certificate of ${name} is asked for again after ${time} UTC: ${WAITS[why]}${before}`;
}

/** Does it all, whatever the command around it. Two never ask an authority at once. */
export async function renewOnServer(
  context: CliContext,
  server: Server,
  request: RenewRequest,
): Promise<RenewOutcome> {
  const { host } = server;
  const { paths } = context;
  const { edge, httpPort = 80, ...options } = request;
  const settings = await certificateSettings(host, paths);
  const { clock } = await appliedContext(context, server);
  const lock = {
    process: await thisProcess(env.sudoUser ?? env.user ?? 'unknown'),
    command: 'holdfast certificates renew',
    waitSeconds: LOCK_SECONDS,
    clock,
  };
  const ownLock = { ...paths, applyLock: `${paths.state}/certificates.lock` };
  return withLock(host, ownLock, lock, async () => {
    const results =
      settings.acme === undefined
        ? []
        : await renewPublic(context, server, settings.acme, { ...options, httpPort });
    // An authority may take minutes: an apply does not have to wait for that.
    return withLock(host, paths, lock, async () => ({
      results,
      ...(await install(context, server, settings, edge)),
    }));
  });
}

async function install(
  { paths, now }: CliContext,
  server: Server,
  settings: CertificateSettings,
  edge: EdgeAddress | undefined,
): Promise<Pick<RenewOutcome, 'changed' | 'hosts'>> {
  const { edgeHosts, edgeAddress, project } = await appliedAgentSettings(server.host, paths);
  const directory = settings.acme?.directory;
  const { pairs, store } = await signedCertificates(server.host, paths, {
    hosts: edgeHosts,
    project,
    now: now(),
    ...(directory === undefined ? {} : { directory }),
  });
  await store();
  const changed = await installCertificates(server, paths, pairs);
  for (const name of changed) {
    const pair = pairs.get(name);
    if (pair === undefined) continue;
    await checkServed(edge ?? { address: edgeAddress, port: 443 }, name, pair);
  }
  return { changed, hosts: edgeHosts.length };
}

/** Before the first apply of this version nothing public was asked for. */
export async function certificateSettings(host: Host, paths: Paths): Promise<CertificateSettings> {
  const bytes = await host.read(`${paths.stack}/${CERTIFICATE_SETTINGS}`);
  if (bytes === undefined) return { version: 1, source: 'private' };
  return JSON.parse(new TextDecoder().decode(bytes)) as CertificateSettings;
}
