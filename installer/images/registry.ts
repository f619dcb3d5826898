import type { Host } from '../host/host.ts';

/** Within this a registry has to answer, seconds; longer counts as no registry. */
const ANSWER_SECONDS = 5;

/** What a registry says of a reference. */
export type RegistryAnswer =
  | { readonly kind: 'found' /** `sha256:…` */; readonly digest: string }
  /** The registry answers, and has no such image or does not show it to us. */
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'silent'; readonly reason: string };

/**
 * Asks registries from the machine that would pull, with its engine's own credentials. Each registry
 * that keeps silent costs the deadline once, whatever the number of its images.
 */
export class RegistryClient {
  readonly #host: Host;
  readonly #firstAnswers = new Map<string, Promise<RegistryAnswer>>();
  #silent: string | undefined;
  #answered = false;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Whether any registry answered; undefined while none was asked. */
  get answers(): boolean | undefined {
    if (this.#answered) return true;
    return this.#silent === undefined ? undefined : false;
  }

  async inspect(reference: string): Promise<RegistryAnswer> {
    const registry = registryOf(reference);
    const first = this.#firstAnswers.get(registry);
    if (first === undefined) {
      const answer = this.#ask(reference);
      this.#firstAnswers.set(registry, answer);
      return answer;
    }
    const known = await first;
    return known.kind === 'silent' ? known : this.#ask(reference);
  }

  async #ask(reference: string): Promise<RegistryAnswer> {
    // `timeout` ends the program on the machine where it runs, also when that is behind SSH.
    const result = await this.#host.run({
      argv: [
        'timeout',
        String(ANSWER_SECONDS),
        'docker',
        'buildx',
        'imagetools',
        'inspect',
        '--format',
        '{{json .Manifest}}',
        reference,
      ],
      timeoutSeconds: ANSWER_SECONDS + 10,
      okExitCodes: [0, 1, 124],
    });
    const answer = readAnswer(registryOf(reference), result);
    if (answer.kind === 'silent') this.#silent = answer.reason;
    else this.#answered = true;
    return answer;
  }
}

function readAnswer(
  registry: string,
  result: { readonly exitCode: number; readonly stdout: string; readonly stderr: string },
): RegistryAnswer {
  if (result.exitCode === 124) {
    return { kind: 'silent', reason: `${registry} did not answer within ${ANSWER_SECONDS} s` };
  }
  const digest = /"digest":\s*"(sha256:[0-9a-f]{64})"/.exec(result.stdout)?.[1];
  if (result.exitCode === 0 && digest !== undefined) return { kind: 'found', digest };

  const lastLine = result.stderr.trim().split('\n').at(-1) ?? '';
  const message = lastLine.replace(/^ERROR:\s*/, '').slice(0, 300);
  const isRefusal =
    /not found|manifest unknown|unauthorized|denied|forbidden|unexpected status|toomanyrequests/i;
  // A resolver's "no such host" holds the words "not found" on some systems.
  if (!/failed to do request|dial tcp|no such host/.test(message) && isRefusal.test(message)) {
    return { kind: 'refused', reason: message };
  }
  const cause = message.split(': ').at(-1) || 'no answer';
  return { kind: 'silent', reason: `${registry} cannot be reached (${cause})` };
}

/** The registry's host of a reference, `docker.io` when it names none. */
export function registryOf(reference: string): string {
  const [first = '', ...rest] = reference.split('/');
  const isHost = rest.length > 0 && /[.:]|^localhost$/.test(first);
  return isHost ? first : 'docker.io';
}

/** `repository:tag@sha256:…` from a reference that may hold a digest already. */
export function pinned(reference: string, digest: string): string {
  return `${reference.replace(/@sha256:[0-9a-f]{64}$/, '')}@${digest}`;
}
