import { formatBytes, formatSpan } from '../model/format-bytes.ts';
import type { Gap, Operation, Plan, ServiceChange } from '../model/operation.ts';
import type { Rehearsal } from '../model/postgres-upgrade.ts';

const SIGN: Readonly<Record<ServiceChange['change'], string>> = {
  create: '+',
  start: '>',
  recreate: '±',
  release: '↻',
  scale: '*',
};

/** The plan as a person reads it: deterministic, without a secret, without colour. */
export function planText(
  plan: Plan,
  options: { readonly diffs: boolean } = { diffs: true },
): string {
  const lines: string[] = [];
  for (const { text } of plan.notices) lines.push(`note: ${text}`);
  for (const { subject, text } of plan.drift) lines.push(`drift: ${subject} ${text}`);
  if (plan.notices.length + plan.drift.length > 0) lines.push('');
  for (const operation of plan.operations) {
    lines.push(...operationLines(operation));
    if (options.diffs && 'diff' in operation && operation.diff !== '') {
      lines.push(
        ...operation.diff
          .trimEnd()
          .split('\n')
          .map((line) => `    ${line}`),
      );
    }
  }
  lines.push(planSummary(plan));
  if (isBlocked(plan) && plan.operations.length > 0) lines.push(BLOCKED);
  return `${lines.join('\n')}\n`;
}

/** Whether `apply` refuses this plan until a person decides about what somebody else changed. */
export function isBlocked({ drift }: Plan): boolean {
  return drift.some(({ blocks }) => blocks);
}

const BLOCKED =
  'Blocked: apply refuses while somebody else’s changes stand in the way. Move them into config.yaml and put the files back, or replace them with `holdfast apply --adopt` (a copy is kept).';

/** One line, such as `12 operations: 8 files, 2 recreated`. */
export function planSummary(plan: Plan): string {
  const { operations } = plan;
  if (operations.length === 0) {
    return isBlocked(plan) ? BLOCKED : 'Nothing to do: the server is as the config says.';
  }
  const changes = operations.flatMap((operation) =>
    operation.kind === 'compose-up' ? operation.services : [],
  );
  const counted: [number, string][] = [
    [operations.filter(({ kind }) => kind === 'write-file').length, 'files written'],
    [operations.filter(({ kind }) => kind === 'remove-file').length, 'files removed'],
    [changes.filter(({ change }) => change === 'create').length, 'services created'],
    [changes.filter(({ change }) => change === 'recreate').length, 'recreated'],
    [changes.filter(({ change }) => change === 'release').length, 'released'],
    [changes.filter(({ change }) => change === 'start').length, 'started'],
    [changes.filter(({ change }) => change === 'scale').length, 'scaled'],
    [operations.filter(({ kind }) => kind === 'switch-site').length, 'sites switched'],
    [operations.filter(({ kind }) => kind === 'reload').length, 'reloaded'],
    [operations.filter(({ kind }) => kind === 'restart').length, 'restarted'],
    [operations.filter(({ kind }) => kind === 'remove-containers').length, 'services removed'],
    [
      operations.flatMap((one) => (one.kind === 'remove-images' ? one.references : [])).length,
      'images removed',
    ],
  ];
  const parts = counted.filter(([count]) => count > 0).map(([count, text]) => `${count} ${text}`);
  const number = `${operations.length} operation${operations.length === 1 ? '' : 's'}`;
  return parts.length === 0 ? `${number}.` : `${number}: ${parts.join(', ')}.`;
}

function operationLines(operation: Operation): string[] {
  const tail = operation.impact === 'none' ? '' : ` [${operation.impact}]`;
  switch (operation.kind) {
    case 'back-up':
      return [`+ backup of the databases (${operation.cause})`];
    case 'store-secret':
      return [`+ secret ${operation.name} (${operation.cause})`];
    case 'make-directory':
      return [`+ folder ${operation.path} (${operation.cause})`];
    case 'bake-images':
      return operation.references.map(
        (reference) => `+ image ${reference} built from Debian packages`,
      );
    case 'pull-image':
      return [`+ image ${operation.reference} pulled (${operation.cause})`];
    case 'build-image':
      return [`+ image ${operation.reference} built for service ${operation.service}`];
    case 'make-release':
      return [`+ site ${operation.site}: release ${operation.release} (${operation.cause})`];
    case 'switch-site':
      return [`~ site ${operation.site}: switch to ${operation.release} (${operation.cause})`];
    case 'remove-releases':
      return [`- site ${operation.site}: ${operation.releases.length} old releases`];
    case 'remove-site':
      return [`- site ${operation.site} (${operation.cause})`];
    case 'write-file':
      return [
        `${operation.cause === 'new' ? '+' : '~'} file ${operation.path}` +
          (operation.secret ? ' (content changed, secret)' : ` (${operation.cause})`),
      ];
    case 'remove-file':
      return [`- file ${operation.path} (${operation.cause})`];
    case 'upgrade-postgres':
      return upgradeLines(operation);
    case 'compose-up':
      return operation.services.map(
        ({ service, change, cause, gap }) =>
          `${SIGN[change]} service ${service}: ${change} (${cause}${gapText(gap)})` +
          (change === 'recreate' ? ' [recreate]' : ''),
      );
    case 'retire-release':
      return [`- release of service ${operation.service}: stop (${operation.cause})`];
    case 'retire-stand-in':
      return [`- stand-in of service ${operation.service} (${operation.cause})`];
    case 'remove-containers':
      return [
        `- service ${operation.service}: ${operation.containers.length} containers (${operation.cause})`,
      ];
    case 'create-network':
      return [`+ network ${operation.network}`];
    case 'connect-network':
      return [`~ network ${operation.network}: connect ${operation.service}`];
    case 'disconnect-network':
      return [`~ network ${operation.network}: disconnect ${operation.service}`];
    case 'remove-network':
      return [`- network ${operation.network} (${operation.cause})`];
    case 'remove-images':
      return operation.references.map((reference) => `- image ${reference} (${operation.cause})`);
    case 'reload':
      return [`~ service ${operation.service}: reload (${operation.cause})${tail}`];
    case 'restart':
      return [`~ service ${operation.service}: restart (${operation.cause})${tail}`];
    case 'provision':
      return [`~ provision ${operation.provision}: ${operation.cause}`];
    case 'host-command':
      return [`~ run ${operation.argv.join(' ')} (${operation.cause})${tail}`];
  }
}

/** What clients of a published port notice. */
function gapText(gap: Gap | undefined): string {
  if (gap === undefined) return '';
  return gap.standIn
    ? '; a stand-in answers meanwhile, no connection is refused'
    : `; new connections are refused for about a second: ${gap.why}`;
}

function upgradeLines({
  from,
  to,
  volume,
  rehearsal,
  ...sizes
}: Extract<Operation, { kind: 'upgrade-postgres' }>): string[] {
  const free = `${formatBytes(sizes.neededBytes)} of disk needed, ${formatBytes(sizes.freeBytes)} free`;
  return [
    `± postgres ${from} to ${to}: backup, rehearsal, then a copy into the volume ${volume}; the old one stays [recreate]`,
    `    ${free}`,
    ...(rehearsal === undefined
      ? [
          '    not rehearsed yet: `holdfast postgres rehearse` tells how long there is no database, and what is in the way',
        ]
      : rehearsalLines(rehearsal)),
  ];
}

function rehearsalLines({ at, seconds, bytes, problems }: Rehearsal): string[] {
  if (problems.length > 0) {
    return [
      `    rehearsed at ${at}: it cannot be done`,
      ...problems.flatMap((problem) => problem.split('\n')).map((line) => `      ${line}`),
    ];
  }
  return [
    `    rehearsed at ${at} with ${formatBytes(bytes)}: no problem, about ${formatSpan(seconds)} without a database`,
  ];
}
