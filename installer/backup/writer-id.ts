import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { posix } from 'node:path';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { exclusively } from './exclusive.ts';

const LOCK_WAIT_SECONDS = 30;

/** Who writes: told apart from every other server, also from a clone of the same name, and made once. */
export async function writerIdentity(
  host: Host,
  paths: Paths,
): Promise<{ readonly host: string; readonly id: string }> {
  const path = posix.join(paths.agent, 'writer-id');
  const stored = async (): Promise<string> =>
    Buffer.from((await host.read(path)) ?? [])
      .toString('utf8')
      .trim();
  const make = async (): Promise<string> => {
    const there = await stored();
    if (there !== '') return there;
    const id = randomUUID();
    await host.write(path, `${id}\n`, { mode: 0o600, uid: 0, gid: 0 });
    return id;
  };
  const locks = posix.join(paths.agent, 'locks');
  const id =
    (await stored()) || (await exclusively(host, locks, 'writer-id', make, LOCK_WAIT_SECONDS));
  return { host: hostname(), id };
}
