import type { Host } from '../host/host.ts';

/** A file as UTF-8 text, or undefined when there is none. */
export async function readText(host: Host, path: string): Promise<string | undefined> {
  const bytes = await host.read(path);
  return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
}
