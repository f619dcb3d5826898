import type { AgentSettings } from '../../installer/model/agent-settings.ts';
import type { Probe } from '../../installer/model/contribution.ts';
import { fs } from '../builtins.ts';
import type { Clock } from '../clock.ts';
import { reasonOf } from '../log.ts';
import { request } from './request.ts';

export interface ProbeResult {
  readonly name: string;
  readonly ok: boolean;
  /** Seconds until the answer was there. */
  readonly seconds: number;
  /** Why not; empty when ok. */
  readonly why: string;
}

type Edge = Pick<AgentSettings, 'edgeAddress' | 'edgeHosts' | 'caFile'>;

/** Asks each probe's question at its interval and keeps the newest answer. */
export class Probes {
  readonly #clock: Clock;
  readonly #results = new Map<string, ProbeResult>();
  #cancels: (() => void)[] = [];
  #generation = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  results(): ProbeResult[] {
    return [...this.#results.values()];
  }

  set(probes: readonly Probe[], edge: Edge): void {
    this.stop();
    this.#generation += 1;
    const names = new Set(probes.map(({ name }) => name));
    for (const name of this.#results.keys()) if (!names.has(name)) this.#results.delete(name);
    // Spread over their interval: they must not all come in the same second.
    this.#cancels = probes.map((probe, index) =>
      this.#repeat(probe, edge, (index * 1_000) % (probe.everySeconds * 1_000)),
    );
  }

  stop(): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels = [];
  }

  #repeat(probe: Probe, edge: Edge, firstAfter: number): () => void {
    const generation = this.#generation;
    let cancel: () => void;
    const ask = async (): Promise<void> => {
      const started = this.#clock.now();
      const result = await askOnce(probe, edge);
      if (generation !== this.#generation) return;
      this.#results.set(probe.name, result);
      const took = this.#clock.now() - started;
      cancel = this.#clock.after(
        Math.max(probe.everySeconds * 1_000 - took, 1_000),
        () => void ask(),
      );
    };
    cancel = this.#clock.after(firstAfter, () => void ask());
    return () => cancel();
  }
}

/** One question. A probe through the front door goes to its address, whatever DNS says of the host yet. */
export async function askOnce(probe: Probe, edge: Edge): Promise<ProbeResult> {
  const started = process.hrtime.bigint();
  const url = new URL(probe.url);
  const isOurs = edge.edgeHosts.includes(url.hostname);
  const answered = (why: string): ProbeResult => ({
    name: probe.name,
    ok: why === '',
    seconds: Number(process.hrtime.bigint() - started) / 1e9,
    why,
  });
  try {
    const { status, body } = await request({
      url,
      method: 'GET',
      timeoutSeconds: probe.timeoutSeconds,
      ...(isOurs ? { address: edge.edgeAddress } : {}),
      ...(isOurs && fs.existsSync(edge.caFile) ? { caFile: edge.caFile } : {}),
    });
    if (status < 200 || status >= 400) return answered(`status ${status}`);
    if (probe.expectBody !== undefined && !body.includes(probe.expectBody)) {
      return answered('the body does not hold the expected text');
    }
    return answered('');
  } catch (error) {
    return answered(reasonOf(error));
  }
}

const DAY_SECONDS = 86_400;

/**
 * A probe of a site whose certificate ends too soon has failed, even with a good answer. Known for the
 * hosts of our own front door; whose certificate another host shows is not looked at.
 */
export function withCertificateAge(
  results: readonly ProbeResult[],
  probes: readonly Probe[],
  certificates: readonly { readonly name: string; readonly notAfter: number }[],
  now: number,
): ProbeResult[] {
  return results.map((result) => {
    const probe = probes.find(({ name }) => name === result.name);
    if (!result.ok || probe?.certExpiryDays === undefined) return result;
    const { hostname } = new URL(probe.url);
    const ending = certificates.find(({ name }) => name === hostname);
    if (ending === undefined) return result;
    const days = Math.floor((ending.notAfter - now / 1_000) / DAY_SECONDS);
    if (days >= probe.certExpiryDays) return result;
    return { ...result, ok: false, why: `the certificate ends in ${days} days` };
  });
}
