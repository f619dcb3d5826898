import { AppError } from '../../errors.ts';
import type { SshFacts } from '../../model/facts.ts';
import { holds } from './networks.ts';
import type { Firewall } from './section.ts';

/**
 * Refuses rules that would keep the person out who applies them.
 * @throws AppError `preflight/ssh-lock-out`
 */
export function refuseLockOut(
  { ssh, denyFrom }: Pick<Firewall, 'ssh' | 'denyFrom'>,
  { session }: SshFacts,
): void {
  if (session === undefined) return;
  const { address } = session;
  const networks = ssh.allowFrom.filter((network) => network !== 'any');
  const mayEnter = networks.length < ssh.allowFrom.length || holds(networks, address);
  if (!mayEnter) throw lockOut(address, 'is not in firewall.ssh.allowFrom', 'add it there');
  if (holds(denyFrom, address)) {
    throw lockOut(address, 'is in firewall.denyFrom', 'take it out there');
  }
}

function lockOut(address: string, why: string, remedy: string): AppError {
  return new AppError({
    code: 'preflight/ssh-lock-out',
    what: `these firewall rules would lock you out: you are logged in from ${address}`,
    why: `${address} ${why}; nothing was changed`,
    hint: `${remedy}, or apply from a session whose address may enter, such as the provider's console`,
  });
}
