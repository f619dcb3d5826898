import { AppError } from '../errors.ts';
import type { ParsedArguments } from './command.ts';
import { runningContainer } from './containers.ts';
import type { CliContext } from './context.ts';
import { runInteractive } from './interactive.ts';

/** `holdfast exec SERVICE -- COMMAND`: runs a command in the first running replica. */
export async function exec(args: ParsedArguments, context: CliContext): Promise<number> {
  const [service = '', ...command] = args.positionals;
  const server = await context.open();
  const container = await runningContainer(server, context.paths, service);
  return runInteractive(['docker', 'exec', ...terminalFlags(context), container.id, ...command]);
}

/** `holdfast psql [DATABASE]`: the superuser's psql over the server's own socket. */
export async function psql(args: ParsedArguments, context: CliContext): Promise<number> {
  const [database = 'postgres'] = args.positionals;
  if (database.startsWith('-') || database.includes('=') || database.includes('://')) {
    throw new AppError({
      code: 'usage/database-name',
      what: `${JSON.stringify(database)} is not the name of a database`,
      hint: 'holdfast psql',
    });
  }
  const server = await context.open();
  const container = await runningContainer(server, context.paths, 'postgres');
  return runInteractive([
    'docker',
    'exec',
    ...terminalFlags(context),
    '--user',
    'postgres',
    container.id,
    'psql',
    '--username=postgres',
    `--dbname=${database}`,
  ]);
}

function terminalFlags({ io }: CliContext): string[] {
  return io.stdin.isTTY === true && io.isTerminal ? ['--interactive', '--tty'] : ['--interactive'];
}
