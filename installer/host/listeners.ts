import type { Host } from './host.ts';

/** State of a listening socket in /proc/net/tcp. */
const LISTENING = '0A';

/** As /proc/net calls them. A socket of the second may take connections over IPv4 too. */
const FAMILIES = ['tcp', 'tcp6'] as const;
type Family = (typeof FAMILIES)[number];

/** Inode of the socket by TCP port that is listened on, of both address families unless told otherwise. */
export async function listeners(
  host: Host,
  families: readonly Family[] = FAMILIES,
): Promise<Map<number, string>> {
  const all = await sockets(host, families);
  return new Map(
    all.filter(({ state }) => state === LISTENING).map(({ port, inode }) => [port, inode]),
  );
}

/**
 * TCP ports that nobody can begin to listen on: also those that this machine's own connections go out from, and did a
 * minute ago, since the kernel gives them away from among all that are high.
 */
export async function takenPorts(host: Host): Promise<Set<number>> {
  return new Set((await sockets(host, FAMILIES)).map(({ port }) => port));
}

interface Socket {
  readonly port: number;
  readonly state: string;
  readonly inode: string;
}

async function sockets(host: Host, families: readonly Family[]): Promise<Socket[]> {
  const found: Socket[] = [];
  for (const family of families) {
    const bytes = await host.read(`/proc/net/${family}`);
    // Without IPv6 in the kernel there is no second table.
    const lines = new TextDecoder().decode(bytes ?? new Uint8Array()).split('\n');
    for (const line of lines) {
      const [, local = '', , state = '', , , , , , inode = ''] = line.trim().split(/\s+/);
      const port = Number.parseInt(local.split(':')[1] ?? '', 16);
      if (!Number.isNaN(port)) found.push({ port, state, inode });
    }
  }
  return found;
}
