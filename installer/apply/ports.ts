import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { listeners } from '../host/listeners.ts';
import type { Desired } from '../model/desired.ts';
import type { Plan } from '../model/operation.ts';
import type { Stack } from '../model/stack.ts';
import { RELAY_SERVICE } from '../model/stand-in.ts';
import type { Observed } from '../plan/observed.ts';

const ALL_ADDRESSES = '0.0.0.0';
/** What publishes ports for Docker: of an nginx that runs, over IPv6 too until a relay takes its place there. */
const OF_THE_ENGINE = /^(?:docker-proxy|dockerd) /;

interface WantedPort {
  readonly service: string;
  readonly port: number;
}

/**
 * Refuses before anything was changed when another program listens on a port that the plan would publish.
 * @throws AppError `preflight/port-taken`
 */
export async function checkPorts(
  host: Host,
  plan: Plan,
  { stack, standIns }: Pick<Desired, 'stack' | 'standIns'>,
  { containers }: Observed,
): Promise<void> {
  const starting = startingServices(plan, containers);
  const ports = portsToOpen(starting, stack);
  // Where the relay runs, it is what holds them over IPv6, and nobody else can there.
  const isRelayed = containers.some(({ service, running }) => service === RELAY_SERVICE && running);
  const taken = await holders(host, ports, isRelayed ? ['tcp'] : undefined);
  const relayed = standIns.flatMap(({ service, relay }) =>
    relay === undefined || starting.includes(service) || !starting.includes(relay.service)
      ? []
      : relay.ports.map(({ published }) => ({ service: relay.service, port: published })),
  );
  const overIpv6 = await holders(host, relayed, ['tcp6']);
  taken.push(...overIpv6.filter(({ by }) => by !== undefined && !OF_THE_ENGINE.test(by)));
  if (taken.length === 0) return;
  const lines = taken.map(
    ({ service, port, by = 'an unknown program' }) =>
      `port ${port}, which ${service} needs, is taken by ${by}`,
  );
  throw new AppError({
    code: 'preflight/port-taken',
    what: `another program on ${host.name} listens where ours has to; nothing was changed`,
    why: lines.join('\n'),
    hint: 'stop that program (for docker-proxy: `docker ps` shows whose container it is), then run the same command again',
    details: taken.map(({ service, port }) => ({ service, port })),
  });
}

/** Those without a running container: those that run hold their ports already. */
function startingServices({ operations }: Plan, containers: Observed['containers']): string[] {
  return operations
    .flatMap((operation) =>
      operation.kind === 'compose-up' ? operation.services.map(({ service }) => service) : [],
    )
    .filter((name) => !containers.some(({ service, running }) => service === name && running));
}

function portsToOpen(starting: readonly string[], { services }: Stack): WantedPort[] {
  return starting.flatMap((service) =>
    (services[service]?.ports ?? [])
      .filter(
        ({ protocol, host_ip }) =>
          protocol === 'tcp' && (host_ip ?? ALL_ADDRESSES) === ALL_ADDRESSES,
      )
      .map(({ published }) => ({ service, port: Number(published) })),
  );
}

/** Those of the ports that somebody holds. */
async function holders(
  host: Host,
  ports: readonly WantedPort[],
  families: Parameters<typeof listeners>[1],
): Promise<(WantedPort & { readonly by: string | undefined })[]> {
  if (ports.length === 0) return [];
  const listening = await listeners(host, families);
  const taken = ports.flatMap((wanted) => {
    const inode = listening.get(wanted.port);
    return inode === undefined ? [] : [{ wanted, inode }];
  });
  return Promise.all(
    taken.map(async ({ wanted, inode }) => ({ ...wanted, by: await holder(host, inode) })),
  );
}

/** Name and number of the process that holds a socket; undefined where it is not seen from here. */
async function holder(host: Host, inode: string): Promise<string | undefined> {
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
  if (pid === undefined) return undefined;
  const name = new TextDecoder().decode(await host.read(`/proc/${pid}/comm`)).trim();
  return `${name} (pid ${pid})`;
}
