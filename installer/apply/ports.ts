import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { listeners } from '../host/listeners.ts';
import type { Plan } from '../model/operation.ts';
import type { Stack } from '../model/stack.ts';
import { RELAY_SERVICE } from '../model/stand-in.ts';
import type { Observed } from '../plan/observed.ts';

const ALL_ADDRESSES = '0.0.0.0';

/**
 * Refuses before anything was changed when another program listens on a port that the plan would publish.
 * @throws AppError `preflight/port-taken`
 */
export async function checkPorts(
  host: Host,
  plan: Plan,
  stack: Stack,
  { containers }: Observed,
): Promise<void> {
  const ports = portsToOpen(plan, stack, containers);
  if (ports.length === 0) return;
  // Where the relay runs, it is what holds them over IPv6, and nobody else can there.
  const isRelayed = containers.some(({ service, running }) => service === RELAY_SERVICE && running);
  const listening = await listeners(host, isRelayed ? ['tcp'] : undefined);
  const taken = ports.flatMap(({ service, port }) => {
    const inode = listening.get(port);
    return inode === undefined ? [] : [{ service, port, inode }];
  });
  if (taken.length === 0) return;
  const lines = await Promise.all(
    taken.map(
      async ({ service, port, inode }) =>
        `port ${port}, which ${service} needs, is taken by ${await holder(host, inode)}`,
    ),
  );
  throw new AppError({
    code: 'preflight/port-taken',
    what: `another program on ${host.name} listens where ours has to; nothing was changed`,
    why: lines.join('\n'),
    hint: 'stop that program (for docker-proxy: `docker ps` shows whose container it is), then run the same command again',
    details: taken.map(({ service, port }) => ({ service, port })),
  });
}

/** Ports of services without a running container: those that run hold theirs already. */
function portsToOpen(
  { operations }: Plan,
  { services }: Stack,
  containers: Observed['containers'],
): { readonly service: string; readonly port: number }[] {
  const starting = operations.flatMap((operation) =>
    operation.kind === 'compose-up' ? operation.services.map(({ service }) => service) : [],
  );
  return starting
    .filter((name) => !containers.some(({ service, running }) => service === name && running))
    .flatMap((service) =>
      (services[service]?.ports ?? [])
        .filter(
          ({ protocol, host_ip }) =>
            protocol === 'tcp' && (host_ip ?? ALL_ADDRESSES) === ALL_ADDRESSES,
        )
        .map(({ published }) => ({ service, port: Number(published) })),
    );
}

/** Name and number of the process that holds a socket. */
async function holder(host: Host, inode: string): Promise<string> {
  const { stdout } = await host.run({
    argv: [
      'find',
      '/proc',
      '-mindepth',
      '3',
      '-maxdepth',
      '3',
      '-path',
      '/proc/[0-9]*/fd/*',
      '-lname',
      `socket:\\[${inode}\\]`,
      '-print',
      '-quit',
    ],
    // 1: processes that ended while it looked.
    okExitCodes: [0, 1],
  });
  const pid = /^\/proc\/(\d+)\//.exec(stdout)?.[1];
  if (pid === undefined) return 'an unknown program';
  const name = new TextDecoder().decode(await host.read(`/proc/${pid}/comm`)).trim();
  return `${name} (pid ${pid})`;
}
