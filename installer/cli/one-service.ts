import type { ApplyRequest } from '../apply/apply.ts';
import { AppError } from '../errors.ts';
import type { Desired } from '../model/desired.ts';
import { EMPTY_LOCK, type LockFile } from '../model/lock-file.ts';
import type { Operation, Plan, ServiceChange } from '../model/operation.ts';
import type { Paths } from '../model/paths.ts';
import type { Observed } from '../plan/observed.ts';
import type { LoadedConfig } from './read-config.ts';

/** A change of one service, which brings no other change along. */
export interface OneServiceChange {
  readonly service: string;
  /** What may happen to the containers of the service. */
  readonly changes: readonly ServiceChange['change'][];
  /** What does not happen while other changes wait. */
  readonly refusal: string;
}

/** Renders for a change of one service, and looks at the plan that comes of it. */
export function changingOneService(
  change: OneServiceChange,
  loaded: LoadedConfig,
  paths: Paths,
  render: ApplyRequest['render'],
): Pick<ApplyRequest, 'render'> & {
  /** @throws AppError `config/not-applied` */
  readonly refuseOthers: (plan: Plan, desired: Desired) => void;
} {
  let lock = EMPTY_LOCK;
  return {
    render: async (observed) => {
      refuseEditedConfig(observed, loaded);
      lock = observed.lock;
      return render(observed);
    },
    refuseOthers: (plan, { stack }) =>
      refuseOtherChanges(plan, change, {
        ...{ paths, lock },
        image: stack.services[change.service]?.image,
      }),
  };
}

/** Least of all half of an edit. @throws AppError `config/not-applied`, `usage/nothing-applied` */
export function refuseEditedConfig(
  { manifest }: Pick<Observed, 'manifest'>,
  { digest }: Pick<LoadedConfig, 'digest'>,
): void {
  if (manifest.configDigest === digest) return;
  const isFirst = manifest.configDigest === undefined;
  throw new AppError({
    code: isFirst ? 'usage/nothing-applied' : 'config/not-applied',
    what: isFirst
      ? 'no apply of this server has come to its end yet'
      : 'config.yaml was edited after the last apply',
    why: 'this changes one service and nothing else',
    hint: 'holdfast apply',
  });
}

/**
 * Builds, sites and secrets are taken as they are in force, so what is left comes from elsewhere: from another version
 * of holdfast, or from an apply or a deploy that was killed.
 * @throws AppError `config/not-applied`
 */
export function refuseOtherChanges(
  { operations }: Pick<Plan, 'operations'>,
  change: OneServiceChange,
  inForce: { readonly paths: Paths; readonly lock: LockFile; readonly image: string | undefined },
): void {
  const others = operations.flatMap((operation) => otherChanges(operation, change, inForce));
  if (others.length === 0) return;
  throw new AppError({
    code: 'config/not-applied',
    what: `${change.refusal} while other changes wait`,
    why: others.join('\n'),
    hint: 'holdfast apply',
  });
}

/** What of an operation is not part of the change. */
function otherChanges(
  operation: Operation,
  { service, changes }: OneServiceChange,
  { paths, lock, image }: Parameters<typeof refuseOtherChanges>[2],
): string[] {
  const all = (isPart: boolean): string[] => (isPart ? [] : [operation.id]);
  // One that somebody has removed comes back as it was.
  const isKnown = (reference: string): boolean =>
    reference === image ||
    [...Object.values(lock.images), ...Object.values(lock.services)].some(
      (one) => one?.reference === reference,
    );
  switch (operation.kind) {
    case 'write-file':
      return all([paths.lock, `${paths.stack}/compose.yaml`].includes(operation.path));
    case 'pull-image':
    case 'build-image':
      return all(isKnown(operation.reference));
    case 'bake-images':
      return all(operation.references.every(isKnown));
    case 'remove-images':
      return [];
    case 'retire-release':
    case 'connect-network':
    case 'disconnect-network':
      return all(operation.service === service);
    case 'compose-up':
      return operation.services.flatMap((one) => {
        // What is in force and has stopped changes nothing by running again.
        const isPart =
          one.change === 'start' || (one.service === service && changes.includes(one.change));
        return isPart ? [] : [`${one.service}: ${one.cause}`];
      });
    default:
      return [operation.id];
  }
}
