import type { ExecRequest } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import { CommandError } from '../host/command-error.ts';
import type { Notice } from '../model/contribution.ts';
import type { Operation } from '../model/operation.ts';
import { reactionKey } from '../plan/reactions.ts';
import { waitForServices } from './health.ts';
import { again, quoted, type Run, serviceContainers } from './run.ts';

type OperationOf<Kind extends Operation['kind']> = Extract<Operation, { kind: Kind }>;

/** Lets the running containers of a service read their changed files. */
export async function reload(run: Run, { service }: { readonly service: string }): Promise<void> {
  await reloadContainers(run, service);
  await run.manifest.settle([reactionKey({ kind: 'reload', service })]);
}

export async function reloadContainers(run: Run, service: string): Promise<void> {
  const how = run.desired.reloads[service];
  if (how === undefined) throw new Error(`nothing says how ${service} reloads`);
  const containers = await serviceContainers(run, [service]);
  for (const { id, name, status } of containers) {
    // A stopped one reads its files when it starts.
    if (status !== 'running') continue;
    if (how.test !== undefined) await execOrRefuse(run, service, name, id, { argv: how.test });
    await execOrRefuse(run, service, name, id, { argv: how.argv });
  }
}

async function execOrRefuse(
  run: Run,
  service: string,
  name: string,
  id: string,
  request: ExecRequest,
): Promise<void> {
  const { exitCode, stdout, stderr } = await run.engine.exec(id, request);
  if (exitCode === 0) return;
  throw new AppError({
    code: 'health/reload-refused',
    what: `${service} refuses its new configuration`,
    why: `\`${request.argv.join(' ')}\` in ${name} ended with exit code ${exitCode}:\n${quoted(run, stderr.trim() === '' ? stdout : stderr)}`,
    hint: `correct config.yaml as the message says and ${again(run)}`,
  });
}

/** One container after the other, so that the others of the service go on answering. */
export async function restart(run: Run, { service }: { readonly service: string }): Promise<void> {
  for (const { id } of await serviceContainers(run, [service])) {
    await run.host.run({ argv: ['docker', 'container', 'restart', id] });
    await waitForServices(run, [service]);
  }
  await run.manifest.settle([
    reactionKey({ kind: 'restart', service }),
    reactionKey({ kind: 'reload', service }),
  ]);
}

/** Brings a server's inside to what the config says; its input may hold secrets and stays off argv. */
export async function provision(run: Run, operation: OperationOf<'provision'>): Promise<void> {
  const wanted = run.desired.provisions.find(({ id }) => id === operation.provision);
  if (wanted === undefined) throw new Error(`provision ${operation.provision} is not desired`);
  const containers = await serviceContainers(run, [wanted.service]);
  const running = containers.find(({ status }) => status === 'running');
  if (running === undefined) {
    throw new AppError({
      code: 'health/not-healthy',
      what: `${wanted.service} does not run, so this cannot be done in it: ${wanted.summary}`,
      hint: `\`holdfast logs ${wanted.service}\` tells why; then run \`holdfast apply\` again`,
    });
  }
  const { exitCode, stdout, stderr } = await run.engine.exec(running.id, {
    argv: wanted.argv,
    stdin: wanted.stdin,
    ...(wanted.user === undefined ? {} : { user: wanted.user }),
  });
  if (exitCode !== 0) {
    throw new AppError({
      code: 'engine/provision-failed',
      what: `${wanted.service}: ${wanted.summary} failed`,
      why: quoted(run, stderr.trim() === '' ? stdout : stderr),
      hint: `\`holdfast logs ${wanted.service}\` shows more; \`holdfast apply\` tries again`,
    });
  }
  const { provisions } = run.manifest.current;
  await run.manifest.update({ provisions: { ...provisions, [wanted.id]: wanted.digest } });
  await run.manifest.settle([reactionKey({ kind: 'provision', id: wanted.id })]);
}

export async function hostCommand(run: Run, operation: OperationOf<'host-command'>): Promise<void> {
  await runOnHost(run, operation);
  await run.manifest.settle([operation.id]);
}

type HostProgram = Pick<OperationOf<'host-command'>, 'argv' | 'confirm' | 'timeoutSeconds'>;

/**
 * Tells a failure that is no reason to leave the rest undone.
 * @returns false where it is one
 */
export function isOnlyTold(run: Run, failure: Notice | undefined, error: unknown): boolean {
  if (failure === undefined || !(error instanceof CommandError)) return false;
  // Nothing of the rest could be done either.
  if (error.reason === 'connection') return false;
  const why = quoted(run, error.why ?? error.what);
  run.report({ kind: 'warning', code: failure.code, text: `${failure.text}:\n${why}` });
  return true;
}

/** @throws AppError `health/locked-out` when no new connection confirms what the program did */
export async function runOnHost(
  run: Run,
  { argv, confirm, timeoutSeconds }: HostProgram,
): Promise<void> {
  await run.host.run({ argv, ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }) });
  if (confirm === undefined) return;
  try {
    const host = (await run.reconnect?.()) ?? run.host;
    await host.run({ argv: confirm });
  } catch (cause) {
    throw new AppError({
      code: 'health/locked-out',
      what: `after \`${argv.join(' ')}\` no new connection to ${run.host.name} could be made`,
      why: `${cause instanceof Error ? cause.message : String(cause)}\nthe rules from before come back by themselves within a minute`,
      hint: 'check firewall.ssh in config.yaml: your address must be in allowFrom; then apply again',
      cause,
    });
  }
}
