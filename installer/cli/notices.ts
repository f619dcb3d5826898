import { cpuProblems, withinCores } from '../components/rules/cpus.ts';
import { memoryProblems } from '../components/rules/memory.ts';
import { notYetApplied } from '../config/not-yet-applied.ts';
import { formatProblem } from '../config/problem.ts';
import { AppError } from '../errors.ts';
import type { Notice } from '../model/contribution.ts';
import type { Desired } from '../model/desired.ts';
import type { LockFile } from '../model/lock-file.ts';
import type { LoadedConfig } from './read-config.ts';

/** A release that was deployed stands beside the config: the plan says so. */
export function pinNotices(services: LockFile['services']): Notice[] {
  return Object.entries(services).flatMap(([name, { pinned, reference }]) =>
    pinned === true
      ? [
          {
            code: 'image/deployed',
            text: `services.${name}: ${reference}, as deployed; the config's image takes over when it changes`,
          },
        ]
      : [],
  );
}

/** @throws AppError `preflight/cpus` where a container may take more than the machine has */
export function requireCores({ config }: Pick<LoadedConfig, 'config'>, cores: number): void {
  const findings = cpuProblems(config, cores);
  if (findings.length === 0) return;
  throw new AppError({
    code: 'preflight/cpus',
    what: 'this config wants more processors than the machine has; nothing was changed',
    why: `this machine has ${cores}: ${findings.map(({ message }) => message).join(', ')}`,
    hint: `write ${cores} at most, or leave resources.cpus out: all of the machine`,
  });
}

/**
 * What was applied, or comes from a recovery kit, goes on on a smaller machine: nobody is there to edit it, and a limit that is
 * out of reach is none.
 */
export function fitToCores<T extends Pick<LoadedConfig, 'config'>>(
  loaded: T,
  cores: number,
): { readonly loaded: T; readonly notices: readonly Notice[] } {
  return {
    loaded: { ...loaded, config: withinCores(loaded.config, cores) },
    notices: cpuProblems(loaded.config, cores).map(({ message }) => ({
      code: 'preflight/cpus',
      text: `${message}, and this machine has ${cores}: it may take all of them; the next \`holdfast apply\` wants ${cores} at most`,
    })),
  };
}

/** @throws AppError `preflight/memory` when even the fewest replicas do not fit */
export function memoryNotices(
  { config }: LoadedConfig,
  { stack }: Desired,
  memoryBytes: number,
): Notice[] {
  const findings = memoryProblems(config, stack, memoryBytes);
  const errors = findings.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) {
    throw new AppError({
      code: 'preflight/memory',
      what: 'this config does not fit on the machine; nothing was changed',
      why: errors.map(({ message }) => message).join('\n'),
      hint: 'lower resources.memory, replicas or redis.maxMemory, or take a larger machine',
    });
  }
  return findings.map(({ message }) => ({ code: 'preflight/memory', text: message }));
}

/** What the plan says of the config itself. */
export function configNotices(loaded: LoadedConfig): Notice[] {
  return [
    ...loaded.warnings.map((warning) => ({ code: warning.code, text: formatProblem(warning) })),
    ...notYetApplied(loaded.config).map(({ path, issue }) => ({
      code: 'config/not-yet-applied',
      text: `${path}: accepted, not yet applied (${issue})`,
    })),
  ];
}
