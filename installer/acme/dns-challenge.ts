import type { ChallengeKind, Proof } from './challenge.ts';
import { baseName } from './challenge.ts';
import { waitUntilSeen } from './dns/propagation.ts';
import type { DnsProvider, TxtRecord } from './dns/provider.ts';

/** dns-01: TXT records in the zone. */
export function dnsChallenge(provider: DnsProvider, signal: AbortSignal): ChallengeKind {
  return {
    type: 'dns-01',
    check: async (hosts) => {
      for (const name of new Set(hosts.map(baseName))) await provider.check(name);
    },
    show: async (proofs) => {
      const records = recordsOf(proofs);
      for (const record of records) await provider.put(record);
      for (const record of records) await waitUntilSeen(record, signal);
    },
    takeBack: async (proofs) => {
      for (const record of recordsOf(proofs)) await provider.remove(record);
    },
  };
}

/** A domain and its wildcard are proved by two values of one name. */
function recordsOf(proofs: readonly Proof[]): TxtRecord[] {
  const byName = Map.groupBy(proofs, ({ host }) => `_acme-challenge.${host}`);
  return [...byName].map(([name, list]) => ({ name, values: list.map(({ content }) => content) }));
}
