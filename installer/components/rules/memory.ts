import { formatBytes } from '../../model/format-bytes.ts';
import type { Stack } from '../../model/stack.ts';
import { memoryBudget } from '../postgres/tuning.ts';
import type { Config } from '../sections.ts';
import { error, type Finding, warning } from './finding.ts';

/**
 * What a part of the platform takes of its limit when it has little to do. An estimate: the whole platform idles at
 * about 210 MiB (`npm run bench appliance`), and full limits would refuse the demo on a server of 1 GiB.
 */
const IDLE_SHARE = 1 / 4;
/** The agent runs outside of the engine; `npm run bench appliance`. */
const AGENT_BYTES = 50 * 1024 ** 2;

/** Bytes. */
interface Share {
  readonly name: string;
  readonly least: number;
  readonly most: number;
}

/**
 * Memory of everything that runs against the machine. A rule about facts, so that preflight calls it, not the
 * loader. An error when not even the fewest replicas fit beside what the platform needs; a warning when a release on
 * top does not, and when all limits together are more than the machine has.
 *
 * @param hostMemoryBytes what the machine has, in bytes
 */
export function memoryProblems(
  config: Config,
  stack: Stack,
  hostMemoryBytes: number,
): readonly Finding[] {
  const shares = [...productShares(config), ...platformShares(config, stack, hostMemoryBytes)];
  const host = formatBytes(hostMemoryBytes);
  const least = total(shares, 'least');
  if (least > hostMemoryBytes) {
    const message = `the fewest replicas and the platform need ${formatBytes(least)}, more than the ${host} of this machine: ${figures(shares, 'least')}`;
    return [error('memory', ['services'], message)];
  }
  const findings: Finding[] = [];
  const [largest] = Object.values(config.services).toSorted((a, b) => releaseOf(b) - releaseOf(a));
  if (largest !== undefined && least + releaseOf(largest) > hostMemoryBytes) {
    const { name, replicas, resources } = largest;
    const message = `while a release of ${name} runs beside the one before (${replicas.min} × ${formatBytes(resources.memory)} more), the fewest replicas and the platform may need ${formatBytes(least + releaseOf(largest))}, more than the ${host} of this machine: ${figures(shares, 'least')}`;
    findings.push(warning('memory', ['services'], message));
  }
  const most = total(shares, 'most');
  if (most > hostMemoryBytes) {
    const message = `all memory limits together are ${formatBytes(most)}, more than the ${host} of this machine: ${figures(shares, 'most')}; not everything can be at its limit at once`;
    findings.push(warning('memory', ['services'], message));
  }
  return findings;
}

/** Bytes of the replicas that a release starts beside those of before, one service at a time. */
function releaseOf({ replicas, resources }: Config['services'][string]): number {
  return replicas.min * resources.memory;
}

function productShares({ services, accessories }: Config): Share[] {
  return [
    ...Object.values(services).map(({ name, replicas, resources: { memory } }) => ({
      name: `services.${name}`,
      least: replicas.min * memory,
      most: replicas.max * memory,
    })),
    ...Object.entries(accessories).map(
      ([
        name,
        {
          resources: { memory },
        },
      ]) => ({
        name: `accessories.${name}`,
        least: memory,
        most: memory,
      }),
    ),
  ];
}

function platformShares(config: Config, { services }: Stack, hostMemoryBytes: number): Share[] {
  const limits = Object.entries(services).filter(
    ([name]) => !(name in config.services) && !(name in config.accessories),
  );
  const share = (wanted: string, least: (limit: number) => number): Share[] =>
    limits.flatMap(([name, { mem_limit: most }]) =>
      name === wanted ? [{ name, least: Math.min(most, least(most)), most }] : [],
    );
  const rest = limits
    .filter(([name]) => name !== 'postgres' && name !== 'redis')
    .reduce((sum, [, { mem_limit }]) => sum + mem_limit, 0);
  return [
    ...share('postgres', () => memoryBudget(hostMemoryBytes)),
    ...share('redis', (limit) => limit),
    {
      name: 'the rest of the platform',
      least: rest * IDLE_SHARE + AGENT_BYTES,
      most: rest + AGENT_BYTES,
    },
  ];
}

function total(shares: readonly Share[], which: 'least' | 'most'): number {
  return shares.reduce((sum, share) => sum + share[which], 0);
}

/** The largest first. */
function figures(shares: readonly Share[], which: 'least' | 'most'): string {
  return shares
    .toSorted((a, b) => b[which] - a[which])
    .map((share) => `${share.name} ${formatBytes(share[which])}`)
    .join(', ');
}
