import type { Host } from './host.ts';

/** State of a listening socket in /proc/net/tcp. */
const LISTENING = '0A';

/** Inode of the socket by TCP port that is listened on, of both address families. */
export async function listeners(host: Host): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const bytes = await host.read(table);
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
