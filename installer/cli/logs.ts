import type { ContainerState } from '../engine/engine.ts';
import { Output } from '../host/output.ts';
import { appliedAgentSettings } from './applied.ts';
import type { ParsedArguments } from './command.ts';
import { serviceContainers } from './containers.ts';
import type { CliContext, Server } from './context.ts';
import { wholeNumber } from './parse.ts';
import { followRequests, lastRequests } from './request-log.ts';

/**
 * `holdfast logs SERVICE`: the last lines of every replica; with `--follow`, what comes after them. Of nginx also the
 * requests that it answered, which stand in a file.
 */
export async function logs(args: ParsedArguments, context: CliContext): Promise<number> {
  const [service = ''] = args.positionals;
  const tail = wholeNumber('tail', args.value('tail') ?? '100', 1, 100_000);
  const server = await context.open(args.value('host'));
  const containers = await serviceContainers(server, context.paths, service);
  const { accessLog } = await appliedAgentSettings(server.host, context.paths);
  const requests = service === accessLog.service ? accessLog.path : undefined;
  if (args.flag('follow')) {
    await follow(server, { containers, requests, tail }, context);
    return 0;
  }
  for (const container of containers) {
    if (containers.length > 1 || requests !== undefined) {
      context.io.out(`── ${container.name}\n`);
    }
    const text = await server.engine.logs(container.id, { tail });
    context.io.out(text.endsWith('\n') || text === '' ? text : `${text}\n`);
  }
  if (requests !== undefined) {
    context.io.out(`── requests, ${requests}\n`);
    for (const line of await lastRequests(server.host, requests, tail)) context.io.out(`${line}\n`);
  }
  return 0;
}

interface Sources {
  readonly containers: readonly ContainerState[];
  /** File of the requests that were answered; undefined of a service that has none. */
  readonly requests: string | undefined;
  /** Lines before the first new one. */
  readonly tail: number;
}

/** Until all replicas have ended, or the user has seen enough. */
async function follow(
  { engine, host }: Server,
  { containers, requests, tail }: Sources,
  { io, signal }: CliContext,
): Promise<void> {
  const ended = new AbortController();
  const enough = [signal, ended.signal, ...(io.closed === undefined ? [] : [io.closed])];
  const options = { tail, signal: AbortSignal.any(enough) };
  const followOne = async ({ id, name }: ContainerState): Promise<void> => {
    const whose = containers.length > 1 ? `${name}: ` : '';
    const output = new Output((line) => io.out(`${whose}${line}\n`));
    for await (const chunk of engine.followLogs(id, options)) output.pushStdout(Buffer.from(chunk));
    output.end();
  };
  const onLine = (line: string): void => io.out(`${line}\n`);
  try {
    await Promise.all([
      Promise.all(containers.map(followOne)).finally(() => ended.abort()),
      requests === undefined ? undefined : followRequests(host, requests, { ...options, onLine }),
    ]);
  } finally {
    ended.abort();
  }
}
