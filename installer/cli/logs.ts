import type { ParsedArguments } from './command.ts';
import { serviceContainers } from './containers.ts';
import type { CliContext } from './context.ts';
import { runInteractive } from './interactive.ts';
import { wholeNumber } from './parse.ts';

/** `holdfast logs SERVICE`: the last lines of every replica; with `--follow`, what comes after them. */
export async function logs(args: ParsedArguments, context: CliContext): Promise<number> {
  const [service = ''] = args.positionals;
  const tail = wholeNumber('tail', args.value('tail') ?? '100', 1, 100_000);
  const server = await context.open(args.value('host'));
  const containers = await serviceContainers(server, context.paths, service);
  if (args.flag('follow')) {
    const [first] = containers;
    return runInteractive(['docker', 'logs', '--follow', '--tail', String(tail), first.id]);
  }
  for (const container of containers) {
    if (containers.length > 1) context.io.out(`── ${container.name}\n`);
    const text = await server.engine.logs(container.id, { tail });
    context.io.out(text.endsWith('\n') || text === '' ? text : `${text}\n`);
  }
  return 0;
}
