import { POSTGRES_SERVICE } from '../components/postgres/names.ts';
import type { Reaction } from '../model/contribution.ts';
import type { Desired, DesiredFile } from '../model/desired.ts';
import { LABELS } from '../model/labels.ts';
import type { Impact, Operation, Plan, ServiceChange } from '../model/operation.ts';
import { fileChanges } from './files.ts';
import { imageOperations, outdatedImages } from './images.ts';
import {
  type NetworkOperation,
  networkOperations,
  staleNetworks,
  wantedNetworks,
} from './networks.ts';
import type { Observed, ObservedContainer } from './observed.ts';
import { reactionKey, settledByStart } from './reactions.ts';
import { serviceChanges, startOrder } from './services.ts';
import { siteOperations } from './sites.ts';
import { volumeNotices } from './volumes.ts';

const NGINX_RELOAD = reactionKey({ kind: 'reload', service: 'nginx' });

export interface PlanOptions {
  /** Put our version back where somebody else changed a file of ours. */
  readonly overwriteDrift?: boolean;
  /** Folder of the files that no way back puts back, such as certificates. */
  readonly secretMounts?: string;
}

/**
 * The ordered operations that turn what was observed into what is desired. Pure; empty when nothing differs.
 * Backups come first where they are asked for, then secrets and folders, then images and releases of sites, an upgrade of Postgres, files, networks,
 * containers by dependency (with the provisions of a server right after it, and a stand-in that a killed apply left),
 * sites that switch, files that nginx reads and those that go, reloads and restarts. Afterwards, with the new state in force, goes what only the one before
 * needs: copies of secrets, releases, containers, networks and images.
 */
export function makePlan(desired: Desired, server: Observed, options: PlanOptions = {}): Plan {
  const moved = server.containers.filter((container) => isMoved(desired, container));
  const observed = {
    ...server,
    containers: server.containers.filter((container) => !moved.includes(container)),
  };
  const files = fileChanges(desired.files, observed, options.overwriteDrift ?? false);
  const wanted = wantedNetworks(desired.stack);
  const sites = siteOperations(desired.sites, observed.sites);
  const reactions = dueReactions(desired, observed, files.changed);
  const restarts = new Set(
    [...desired.rolled.keys()].filter((service) =>
      reactions.has(reactionKey({ kind: 'restart', service })),
    ),
  );
  const services = serviceChanges(desired, observed, staleNetworks(wanted, observed), restarts);
  const networks = networkOperations(wanted, observed, services.changes);
  for (const service of services.changes.values()) {
    if (service.change === 'scale') continue;
    for (const key of settledByStart(service.service)) reactions.delete(key);
  }
  const { secretMounts } = options;
  const isMounted = (operation: Operation): boolean =>
    secretMounts !== undefined &&
    operation.kind === 'remove-file' &&
    operation.path.startsWith(`${secretMounts}/`);
  // Started anew after a kill, nginx would lead to what is not there yet.
  const readLast = reactions.has(NGINX_RELOAD) ? files.changed.filter(isOfNginxAlone) : [];
  const lastWrites = new Set(readLast.map(({ path }) => path));
  const isLast = (one: Operation): boolean => one.kind === 'write-file' && lastWrites.has(one.path);
  const isOfWantedNetwork = (operation: NetworkOperation): boolean =>
    operation.network in wanted.networks;
  const changes: Operation[] = [
    ...secretOperations(desired),
    ...directoryOperations(desired, observed),
    ...imageOperations(desired, observed),
    ...sites.releases,
    ...upgradeOperations(desired),
    ...files.writes.filter((one) => !isLast(one)),
    ...networks.first,
    ...removeOperations(moved, 'it becomes one of another section; its volumes stay'),
    ...containerOperations(desired, observed, services.changes, reactions),
    ...standInOperations(desired, observed, services.changes),
    ...sites.switches,
    ...retireOperations(services.leftRunning),
    ...files.writes.filter(isLast),
    ...files.removals.filter((one) => !isMounted(one)),
    ...reactionOperations(reactions),
    ...networks.last.filter(isOfWantedNetwork),
    ...afterwards([
      ...sites.removals,
      ...removeOperations(
        observed.containers.filter(({ service }) => !(service in desired.stack.services)),
        'no longer in the config; its volumes stay',
      ),
      ...files.removals.filter(isMounted),
      ...networks.last.filter((one) => !isOfWantedNetwork(one)),
    ]),
  ];
  const backup = backupFirst(desired, observed);
  return {
    project: desired.project,
    operations:
      changes.length === 0
        ? []
        : [
            ...backup.operations,
            ...changes,
            // By themselves they are no reason for an apply, nor do they go with what a killed one has left to remove.
            ...(changes.every((one) => one.afterwards === true)
              ? []
              : afterwards(outdatedImages(desired, observed, services.changes))),
          ],
    notices: [
      ...desired.notices,
      ...sites.notices,
      ...(changes.length === 0 ? [] : [...volumeNotices(desired, server), ...backup.notices]),
    ],
    drift: [...files.drift, ...services.drift],
  };
}

function isOfNginxAlone({ onChange }: DesiredFile): boolean {
  return (
    onChange.length > 0 && onChange.every((reaction) => reactionKey(reaction) === NGINX_RELOAD)
  );
}

function afterwards(operations: readonly Operation[]): Operation[] {
  return operations.map((operation) => ({ ...operation, afterwards: true }));
}

/** What mends a database that is down must not wait for a backup of it. */
function backupFirst(
  { backsUpFirst = false, postgresUpgrade }: Desired,
  { containers }: Observed,
): Pick<Plan, 'operations' | 'notices'> {
  const server = containers.find(({ service }) => service === POSTGRES_SERVICE);
  // An upgrade makes its own.
  if (!backsUpFirst || server === undefined || postgresUpgrade !== undefined) {
    return { operations: [], notices: [] };
  }
  if (!server.healthy) {
    const text = `no backup is made first: ${server.name} is not healthy`;
    return { operations: [], notices: [{ code: 'backup/not-first', text }] };
  }
  const cause = 'postgres.snapshotBefore';
  return {
    operations: [{ kind: 'back-up', id: 'back-up', cause, impact: 'none' }],
    notices: [],
  };
}

function secretOperations(desired: Desired): Operation[] {
  return [...desired.newSecrets.keys()].sort().map((name) => ({
    kind: 'store-secret',
    id: `store-secret:${name}`,
    name,
    cause: 'generated once and kept',
    impact: 'none',
  }));
}

function directoryOperations(desired: Desired, observed: Observed): Operation[] {
  return desired.directories.flatMap(({ path, mode, uid, gid }) => {
    const present = observed.directories.get(path);
    if (present?.mode === mode && present.uid === uid && present.gid === gid) return [];
    return [
      {
        kind: 'make-directory' as const,
        id: `make-directory:${path}`,
        path,
        mode,
        cause: present === undefined ? 'new' : 'mode or owner differ',
        impact: 'none' as const,
      },
    ];
  });
}

function upgradeOperations({ postgresUpgrade: upgrade }: Desired): Operation[] {
  if (upgrade === undefined) return [];
  return [
    {
      kind: 'upgrade-postgres',
      id: 'upgrade-postgres',
      from: upgrade.from.major,
      to: upgrade.to.major,
      volume: upgrade.to.volume,
      neededBytes: upgrade.neededBytes,
      freeBytes: upgrade.freeBytes,
      ...(upgrade.rehearsal === undefined ? {} : { rehearsal: upgrade.rehearsal }),
      cause: 'postgres.version',
      impact: 'recreate',
    },
  ];
}

interface DueReaction {
  readonly operation: Operation;
  readonly order: number;
}

function dueReactions(
  desired: Desired,
  observed: Observed,
  changed: readonly DesiredFile[],
): Map<string, DueReaction> {
  const causes = new Map<string, { reaction: Reaction; causes: string[] }>();
  const add = (reaction: Reaction, cause: string): void => {
    const key = reactionKey(reaction);
    const entry = causes.get(key) ?? { reaction, causes: [] };
    entry.causes.push(cause);
    causes.set(key, entry);
  };
  for (const file of changed) for (const reaction of file.onChange) add(reaction, file.path);
  const pending = new Set(observed.manifest.pending);
  for (const file of desired.files.values()) {
    for (const reaction of file.onChange) {
      if (pending.has(reactionKey(reaction)) && !causes.has(reactionKey(reaction))) {
        add(reaction, 'left over from an interrupted apply');
      }
    }
  }
  for (const provision of desired.provisions) {
    if (observed.manifest.provisions[provision.id] !== provision.digest) {
      add({ kind: 'provision', id: provision.id }, provision.summary);
    }
  }
  const due = new Map<string, DueReaction>();
  for (const [key, { reaction, causes: reasons }] of causes) {
    const operation = reactionOperation(reaction, reasons.join(', '));
    due.set(key, { operation, order: operation.kind === 'host-command' ? 1 : 0 });
  }
  return due;
}

function reactionOperation(reaction: Reaction, cause: string): Operation {
  switch (reaction.kind) {
    case 'reload':
      return {
        kind: 'reload',
        id: reactionKey(reaction),
        service: reaction.service,
        cause,
        impact: 'reload',
      };
    case 'restart':
      return {
        kind: 'restart',
        id: reactionKey(reaction),
        service: reaction.service,
        cause,
        impact: 'restart',
      };
    case 'provision':
      return {
        kind: 'provision',
        id: reactionKey(reaction),
        provision: reaction.id,
        cause,
        impact: 'none',
      };
    case 'host':
      return {
        kind: 'host-command',
        id: reactionKey(reaction),
        argv: reaction.argv,
        ...(reaction.confirm === undefined ? {} : { confirm: reaction.confirm }),
        ...(reaction.timeoutSeconds === undefined
          ? {}
          : { timeoutSeconds: reaction.timeoutSeconds }),
        ...(reaction.failure === undefined ? {} : { failure: reaction.failure }),
        cause,
        impact: reaction.impact,
      };
  }
}

function containerOperations(
  desired: Desired,
  observed: Observed,
  changes: ReadonlyMap<string, ServiceChange>,
  reactions: Map<string, DueReaction>,
): Operation[] {
  const operations: Operation[] = [];
  for (const [level, names] of startOrder(desired.stack.services).entries()) {
    const services = names.flatMap((name) => changes.get(name) ?? []);
    if (services.length > 0) {
      operations.push({
        kind: 'compose-up',
        id: `compose-up:${level}`,
        services,
        cause: services.map(({ service, cause }) => `${service}: ${cause}`).join('; '),
        impact: upImpact(services, observed),
      });
    }
    for (const provision of desired.provisions) {
      const key = reactionKey({ kind: 'provision', id: provision.id });
      const due = reactions.get(key);
      if (due === undefined || !names.includes(provision.after ?? provision.service)) continue;
      operations.push(due.operation);
      reactions.delete(key);
    }
  }
  return operations;
}

/** A container that is recreated keeps the stand-in that is there, and takes it away itself. */
function standInOperations(
  { standIns }: Desired,
  { standInLeft }: Observed,
  changes: ReadonlyMap<string, ServiceChange>,
): Operation[] {
  if (!standInLeft) return [];
  return standIns
    .filter(({ service }) => changes.get(service)?.gap?.standIn !== true)
    .map(({ service }) => ({
      kind: 'retire-stand-in',
      id: `retire-stand-in:${service}`,
      service,
      cause: 'left over from an apply that did not end',
      impact: 'none',
    }));
}

function retireOperations(leftRunning: ReadonlyMap<string, readonly string[]>): Operation[] {
  return [...leftRunning]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([service, containers]) => ({
      kind: 'retire-release',
      id: `retire-release:${service}`,
      service,
      containers,
      cause: 'left over from a deploy that did not end',
      impact: 'none',
    }));
}

function upImpact(services: readonly ServiceChange[], observed: Observed): Impact {
  if (services.some(({ change }) => change === 'recreate')) return 'recreate';
  if (services.some(({ change }) => change === 'release')) return 'reload';
  const restarts = services.some(
    ({ service, change }) =>
      change === 'start' && observed.containers.some((container) => container.service === service),
  );
  return restarts ? 'restart' : 'none';
}

function reactionOperations(reactions: ReadonlyMap<string, DueReaction>): Operation[] {
  return [...reactions.values()]
    .sort((a, b) => a.order - b.order || (a.operation.id < b.operation.id ? -1 : 1))
    .map(({ operation }) => operation);
}

/** Two that write to one volume at once would damage it, and neither would find the other. */
function isMoved({ stack }: Desired, { service, component }: ObservedContainer): boolean {
  const wanted = stack.services[service]?.labels?.[LABELS.component];
  return component !== undefined && wanted !== undefined && component !== wanted;
}

function removeOperations(containers: readonly ObservedContainer[], cause: string): Operation[] {
  const byService = new Map<string, string[]>();
  for (const { service, id } of containers) {
    byService.set(service, [...(byService.get(service) ?? []), id]);
  }
  return [...byService]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([service, ids]) => ({
      kind: 'remove-containers',
      id: `remove-containers:${service}`,
      service,
      containers: ids,
      cause,
      impact: 'recreate',
    }));
}
