import { AppError } from '../errors.ts';
import type { DeployEvent, DeployEventKind, DeployedChange } from '../model/deploy-event.ts';
import type { Operation, ServiceChange } from '../model/operation.ts';
import type { ApplyRequest } from './apply.ts';
import type { Run } from './run.ts';

/** What a run tells the receivers of deploys. */
export interface DeployNews {
  began(): void;
  /** Resolves once everybody was told or cannot be. */
  ended(failure?: unknown): Promise<void>;
}

/** News of the services and sites that a plan releases or scales; of other changes there are none. */
export function deployNews(
  run: Run,
  { process, command }: Pick<ApplyRequest, 'process' | 'command'>,
): DeployNews {
  const { announce, clock } = run;
  const begin = clock.elapsed();
  const released = changesOf(run, ['create', 'release']);
  const scaled = changesOf(run, ['scale']);
  const told: Promise<void>[] = [];
  const tell = (
    kind: DeployEventKind,
    changes: readonly DeployedChange[],
    more: Partial<DeployEvent> = {},
  ): void => {
    if (announce === undefined || changes.length === 0) return;
    const at = clock.now().toISOString();
    told.push(announce({ kind, at, who: process.who, command, changes, ...more }));
  };
  return {
    began: () => tell('started', [...released, ...sitesOf(run)]),
    ended: async (failure) => {
      const seconds = (clock.elapsed() - begin) / 1000;
      const deployed = [...released, ...sitesOf(run)];
      if (failure === undefined) {
        const onRequest = command.startsWith('holdfast rollback ');
        tell(onRequest ? 'rolled-back' : 'succeeded', deployed, { seconds });
        tell('scaled', scaled, { seconds });
      } else {
        const wentBack = failure instanceof AppError && failure.code === 'health/release-died';
        const reason =
          failure instanceof AppError
            ? `${failure.code}: ${failure.what}`
            : 'bug: see the audit log';
        const changes = [...deployed, ...scaled];
        tell(wentBack ? 'rolled-back' : 'failed', changes, { seconds, reason });
      }
      await Promise.all(told);
    },
  };
}

/** Of the product's own services: those whose releases take turns. */
function changesOf(
  { plan, desired }: Run,
  kinds: readonly ServiceChange['change'][],
): DeployedChange[] {
  return plan.operations.flatMap((operation) => {
    if (operation.kind !== 'compose-up') return [];
    return operation.services
      .filter(({ service, change }) => kinds.includes(change) && desired.rolled.has(service))
      .map(({ service }) => ({
        kind: 'service' as const,
        name: service,
        version: desired.stack.services[service]?.image ?? '',
        replicas: desired.stack.services[service]?.scale ?? 1,
      }));
  });
}

function sitesOf({ plan }: Run): DeployedChange[] {
  return plan.operations
    .filter((operation): operation is Extract<Operation, { kind: 'switch-site' }> => {
      return operation.kind === 'switch-site';
    })
    .map(({ site, release }) => ({ kind: 'site', name: site, version: release }));
}
