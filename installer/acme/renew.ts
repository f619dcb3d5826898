import type { X509Certificate } from 'node:crypto';
import { AppError } from '../errors.ts';
import { RESULTS_FOLDER } from '../model/backup-result.ts';
import type { WantedCertificate } from '../model/certificate-settings.ts';
import { CERTIFICATES_RESULT, type CertificatesResult } from '../model/certificates-result.ts';
import type { CertificatePair } from '../tls/certificate-pair.ts';
import {
  leafOf,
  type PublicCertificate,
  readPublicCertificates,
  storePublicCertificate,
} from '../tls/public-store.ts';
import { forgetRegistration } from './account.ts';
import { checkCaa } from './caa.ts';
import { baseName, type ChallengeKind } from './challenge.ts';
import {
  type AttemptRecord,
  type Decision,
  decide,
  fractionOf,
  type Problem,
  type RenewalAdvice,
} from './decide.ts';
import { AcmeFailure, asAppError, atAuthority } from './failure.ts';
import { obtain } from './obtain.ts';
import { askRenewalAdvice } from './renewal-info.ts';
import {
  type Directory,
  openSession,
  readDirectory,
  type Session,
  type SessionInput,
} from './session.ts';
import { AcmeState } from './state.ts';

export interface RenewInput extends SessionInput {
  readonly openChallenge: () => Promise<ChallengeKind>;
  readonly now: () => Date;
  /** See {@link decide}. */
  readonly urgentOnly: boolean;
  readonly force: boolean;
  readonly warn: (text: string) => void;
}

export interface WaitResult {
  readonly name: string;
  readonly outcome: 'wait';
  readonly until: Date;
  readonly why: Extract<Decision, { act: 'wait' }>['why'];
  /** How the last attempt at this authority ended. */
  readonly problem?: Problem;
}

/** Nobody wrote the name, and it does not lead here: nothing is asked for, and nothing is wrong. */
export interface UnservedResult {
  readonly name: string;
  readonly outcome: 'unserved';
}

export type RenewResult =
  | UnservedResult
  | { readonly name: string; readonly outcome: 'issued'; readonly until: Date }
  | { readonly name: string; readonly outcome: 'none'; readonly dueAt: Date }
  | WaitResult
  | { readonly name: string; readonly outcome: 'failed'; readonly error: AppError };

/**
 * Gets what is missing and renews what is due, one certificate after the other: one that fails leaves the
 * others alone, and what is there stays. May be killed anywhere: an attempt is remembered before it begins.
 */
export async function renewCertificates(input: RenewInput): Promise<RenewResult[]> {
  const { host, paths, settings } = input;
  const state = await AcmeState.read(host, paths, settings.directory, input.now().getTime());
  await state.keepOnly(new Set(settings.certificates.map(({ name }) => name)));
  const stored = await readPublicCertificates(host, paths);
  const run = new RenewRun(input, state);
  const results: RenewResult[] = [];
  for (const wanted of settings.certificates) {
    results.push(await run.one(wanted, stored.get(wanted.name)));
  }
  await keepResult(input, state);
  return results;
}

/** For the agent's metrics. */
async function keepResult({ host, paths, settings }: RenewInput, state: AcmeState): Promise<void> {
  const result: CertificatesResult = {
    version: 1,
    certificates: settings.certificates.map(({ name }) => ({
      name,
      ok: state.of(name).problem === undefined,
    })),
  };
  await host.write(
    `${paths.agent}/${RESULTS_FOLDER}/${CERTIFICATES_RESULT}`,
    `${JSON.stringify(result)}\n`,
    { mode: 0o600, uid: 0, gid: 0 },
  );
}

/** After an answer that did not come, milliseconds. */
const ADVICE_PAUSE = 6 * 3_600_000;

/** What the certificates of one run share. */
class RenewRun {
  readonly #input: RenewInput;
  readonly #state: AcmeState;
  #directory: Promise<Directory> | undefined;
  #session: Promise<Session> | undefined;
  #challenge: Promise<ChallengeKind> | undefined;
  /** The authority does not answer: it is not asked again in this run. */
  #unreachable: AcmeFailure | undefined;

  constructor(input: RenewInput, state: AcmeState) {
    this.#input = input;
    this.#state = state;
  }

  async one(
    wanted: WantedCertificate,
    stored: PublicCertificate | undefined,
  ): Promise<RenewResult> {
    const { name } = wanted;
    await this.#askAdvice(name, stored);
    const decision = this.#decide(wanted, stored);
    if (decision.act === 'none') return { name, outcome: 'none', dueAt: new Date(decision.dueAt) };
    if (decision.act === 'wait') {
      const { why } = decision;
      const { problem } = this.#state.of(name);
      const until = new Date(decision.until);
      return { name, outcome: 'wait', until, why, ...(problem === undefined ? {} : { problem }) };
    }
    let hasAsked = false;
    try {
      const until = await this.#issue(wanted, stored, async () => {
        hasAsked = true;
        const record = this.#state.of(name);
        const attempts = [...record.attempts, this.#input.now().getTime()];
        await this.#state.set(name, { ...record, attempts, failures: record.failures + 1 });
      });
      return { name, outcome: 'issued', until };
    } catch (thrown) {
      const error = asAppError(thrown, name, this.#input.settings.directory);
      if (isOptional(wanted, stored) && NOT_HERE.has(error.code)) {
        const { problem: _before, ...record } = this.#state.of(name);
        await this.#state.set(name, record);
        return { name, outcome: 'unserved' };
      }
      await this.#remember(name, error, thrown, hasAsked);
      return { name, outcome: 'failed', error };
    }
  }

  /** Best effort: an authority that gives no advice, or no answer, leaves it to the life that is left. */
  async #askAdvice(name: string, stored: PublicCertificate | undefined): Promise<void> {
    const record = this.#state.of(name);
    const now = this.#input.now().getTime();
    if (stored?.directory !== this.#input.settings.directory) return;
    const { serialNumber: serial } = stored.leaf;
    const known = record.advice?.serial === serial ? record.advice : undefined;
    if ((record.retryAt ?? 0) > now || (known !== undefined && known.checkAt > now)) return;
    let advice: RenewalAdvice;
    try {
      this.#directory ??= readDirectory(this.#input);
      advice = await askRenewalAdvice((await this.#directory).renewalInfo, stored.leaf, now);
    } catch (error) {
      if (!(error instanceof AcmeFailure) && !(error instanceof AppError)) throw error;
      advice = { ...known, serial, checkAt: now + ADVICE_PAUSE };
    }
    await this.#state.set(name, { ...record, advice });
  }

  #decide({ name, hosts }: WantedCertificate, stored: PublicCertificate | undefined): Decision {
    const { settings, urgentOnly, force } = this.#input;
    const record = this.#state.of(name);
    const { advice } = record;
    return decide({
      suggested: advice?.serial === stored?.leaf.serialNumber ? advice?.window : undefined,
      now: this.#input.now().getTime(),
      fraction: fractionOf(`${name} ${stored?.leaf.serialNumber ?? ''}`),
      validity: stored && {
        from: stored.leaf.validFromDate.getTime(),
        until: stored.leaf.validToDate.getTime(),
      },
      fits: stored?.directory === settings.directory && hasNames(stored.leaf, hosts),
      record,
      urgentOnly,
      force,
    });
  }

  async #issue(
    wanted: WantedCertificate,
    stored: PublicCertificate | undefined,
    onAttempt: () => Promise<void>,
  ): Promise<Date> {
    const { host, paths, settings, now, warn } = this.#input;
    const { name, hosts } = wanted;
    if (this.#unreachable !== undefined) throw this.#unreachable;
    this.#challenge ??= this.#input.openChallenge();
    const challenge = await this.#challenge;
    if (settings.precheck || isOptional(wanted, stored)) await challenge.check(hosts);
    this.#session ??= openSession(this.#input);
    const { client, accountUrl, caaIdentities: identities } = await this.#session;
    if (settings.precheck) {
      const asker = { identities, accountUrl, challenge: challenge.type };
      for (const one of hosts) await checkCaa(one, asker);
    }
    const pair = await atAuthority(() => obtain(client, { hosts, challenge, onAttempt, warn }));
    const record = this.#state.of(name);
    const issued = [...record.issued, now().getTime()];
    await this.#state.set(name, { ...record, issued });
    const leaf = usable(pair, hosts, now(), name);
    await storePublicCertificate(host, paths, name, settings.directory, pair);
    await this.#state.set(name, { failures: 0, attempts: record.attempts, issued });
    return leaf.validToDate;
  }

  async #remember(
    name: string,
    error: AppError,
    thrown: unknown,
    hasAsked: boolean,
  ): Promise<void> {
    const { host, paths, settings, now } = this.#input;
    const at = now().getTime();
    const { code, what, why, hint } = error;
    const problem = { code, what, hint, at, ...(why === undefined ? {} : { why }) };
    const { problem: _before, retryAt: _asked, ...record } = this.#state.of(name);
    const retryAfter = thrown instanceof AcmeFailure ? thrown.problem.retryAfter : undefined;
    const next: AttemptRecord = {
      ...record,
      problem,
      ...(retryAfter === undefined ? {} : { retryAt: at + retryAfter * 1000 }),
    };
    // A limit that was met before an order was made counts as well: it is not to be run into every hour.
    const isLimit = thrown instanceof AcmeFailure && thrown.problem.type === 'rateLimited';
    await this.#state.set(
      name,
      isLimit && !hasAsked
        ? { ...next, failures: next.failures + 1, attempts: [...next.attempts, at] }
        : next,
    );
    if (!(thrown instanceof AcmeFailure)) return;
    if (thrown.problem.status === undefined) this.#unreachable = thrown;
    if (thrown.problem.type === 'accountDoesNotExist') {
      await forgetRegistration(host, paths, settings.directory);
    }
  }
}

/** What a name says by DNS that is not meant to lead here. */
const NOT_HERE: ReadonlySet<string> = new Set(['certificate/no-address', 'certificate/elsewhere']);

/** Once there was a certificate, somebody meant it. */
function isOptional({ isUnasked }: WantedCertificate, stored: PublicCertificate | undefined) {
  return isUnasked === true && stored === undefined;
}

/** A wildcard stands in the list as it is asked for. */
function hasNames(leaf: X509Certificate, hosts: readonly string[]): boolean {
  const names = (leaf.subjectAltName ?? '').split(', ').map((name) => name.replace(/^DNS:/, ''));
  return hosts.every((host) => names.includes(host));
}

/** @throws AppError `certificate/unusable`: nothing that would not work replaces what works */
function usable(
  pair: CertificatePair,
  hosts: readonly string[],
  now: Date,
  name: string,
): X509Certificate {
  const leaf = leafOf(pair);
  const why =
    leaf === undefined
      ? 'its key is another one'
      : !hasNames(leaf, hosts)
        ? `it is made for ${leaf.subjectAltName ?? 'no name'}, not for ${hosts.map(baseName).join(', ')}`
        : leaf.validToDate <= now
          ? `it ended on ${leaf.validToDate.toISOString()}, which is past by the clock of this server`
          : undefined;
  if (leaf !== undefined && why === undefined) return leaf;
  throw new AppError({
    code: 'certificate/unusable',
    what: `the authority sent a certificate for ${name} that cannot be used; the old one stays`,
    ...(why === undefined ? {} : { why }),
    hint: 'check the clock of this server with `holdfast doctor`, then: holdfast certificates renew --now',
  });
}
