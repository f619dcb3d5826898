import type { Host } from './host.ts';

/** State of a listening socket in /proc/net/tcp. */
const LISTENING = '0A';

/** As /proc/net calls them. A socket of the second may take connections over IPv4 too. */
const FAMILIES = ['tcp', 'tcp6'] as const;

/** Inode of the socket by TCP port that is listened on, of both address families unless told otherwise. */
export async function listeners(
  host: Host,
  families: readonly (typeof FAMILIES)[number][] = FAMILIES,
): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  for (const family of families) {
    const bytes = await host.read(`/proc/net/${family}`);
    // Without IPv6 in the kernel there is no second table.
    const lines = new TextDecoder().decode(bytes ?? new Uint8Array()).split('\n');
    for (const line of lines) {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      const port = Number.parseInt(local.split(':')[1] ?? '', 16);
      if (state === LISTENING && !Number.isNaN(port)) found.set(port, inode);
    }
  }
  return found;
}
