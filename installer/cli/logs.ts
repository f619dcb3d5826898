import type { ContainerState } from '../engine/engine.ts';
import { Output } from '../host/output.ts';
import type { ParsedArguments } from './command.ts';
import { serviceContainers } from './containers.ts';
import type { CliContext, Server } from './context.ts';
import { wholeNumber } from './parse.ts';

/** `holdfast logs SERVICE`: the last lines of every replica; with `--follow`, what comes after them. */
export async function logs(args: ParsedArguments, context: CliContext): Promise<number> {
  const [service = ''] = args.positionals;
  const tail = wholeNumber('tail', args.value('tail') ?? '100', 1, 100_000);
  const server = await context.open(args.value('host'));
  const containers = await serviceContainers(server, context.paths, service);
  if (args.flag('follow')) {
    await follow(server, containers, tail, context);
    return 0;
  }
  for (const container of containers) {
    if (containers.length > 1) context.io.out(`── ${container.name}\n`);
    const text = await server.engine.logs(container.id, { tail });
    context.io.out(text.endsWith('\n') || text === '' ? text : `${text}\n`);
  }
  return 0;
}

/** Until all replicas have ended, or the user has seen enough. */
async function follow(
  { engine }: Server,
  containers: readonly ContainerState[],
  tail: number,
  { io, signal }: CliContext,
): Promise<void> {
  const failed = new AbortController();
  const enough = [signal, failed.signal, ...(io.closed === undefined ? [] : [io.closed])];
  const options = { tail, signal: AbortSignal.any(enough) };
  const followOne = async ({ id, name }: ContainerState): Promise<void> => {
    const whose = containers.length > 1 ? `${name}: ` : '';
    const output = new Output((line) => io.out(`${whose}${line}\n`));
    for await (const chunk of engine.followLogs(id, options)) output.pushStdout(Buffer.from(chunk));
    output.end();
  };
  try {
    await Promise.all(containers.map(followOne));
  } finally {
    failed.abort();
  }
}
