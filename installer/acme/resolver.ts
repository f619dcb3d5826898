// The default import: a named one would keep the servers of the start.
import dns from 'node:dns';

/** The system's name servers, with a patience that fits a command: six seconds at the most for a name. */
export function systemResolver(): dns.promises.Resolver {
  const resolver = new dns.promises.Resolver({ timeout: 3000, tries: 2 });
  resolver.setServers(dns.getServers());
  return resolver;
}
