import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { askAgent } from '../../agent/control/client.ts';
import type { AgentAnswer, AgentStatus } from '../../agent/control/protocol.ts';
import { AppError } from '../errors.ts';
import { formatBytes } from '../model/format-bytes.ts';
import type { ParsedArguments } from './command.ts';
import type { CliContext } from './context.ts';
import { durationText } from './display/quantity.ts';
import { type Style, styleFor } from './display/style.ts';

/** `holdfast agent run`: the resident agent in the foreground, as the service runs it. */
export async function agentRun(_args: ParsedArguments, context: CliContext): Promise<number> {
  const child = spawn('/bin/sh', [join(context.packageRoot, 'agent/run.sh')], { stdio: 'inherit' });
  const forward = (): void => {
    child.kill('SIGTERM');
  };
  context.signal.addEventListener('abort', forward, { once: true });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

/** `holdfast agent status`: what the agent does, did and will do. */
export async function agentStatus(args: ParsedArguments, context: CliContext): Promise<number> {
  const answer = await ask(context, { verb: 'status' });
  if (!answer.ok || !('status' in answer)) throw new Error('the agent gave another answer');
  if (args.flag('json')) {
    context.io.out(`${JSON.stringify({ version: 1, ...answer.status })}\n`);
  } else context.io.out(statusText(answer.status, context.now(), styleFor(context.io.color)));
  return 0;
}

/** `holdfast agent trigger JOB`: starts a job of the agent now. */
export async function agentTrigger(args: ParsedArguments, context: CliContext): Promise<number> {
  const [job = ''] = args.positionals;
  const answer = await ask(context, { verb: 'run', job });
  if (!answer.ok) {
    throw new AppError({
      code: 'usage/unknown-job',
      what: answer.what,
      hint: 'holdfast agent status',
    });
  }
  const isStarted = 'started' in answer && answer.started;
  context.io.out(
    isStarted ? `Job ${job} was started: holdfast agent status\n` : `Job ${job} runs already.\n`,
  );
  return 0;
}

/** @throws AppError `agent/not-running` */
async function ask(
  { paths }: CliContext,
  request: Parameters<typeof askAgent>[1],
): Promise<AgentAnswer> {
  const answer = await askAgent(paths.agentSocket, request);
  if (answer !== undefined) return answer;
  throw new AppError({
    code: 'agent/not-running',
    what: 'the agent does not answer',
    why: `nobody listens on ${paths.agentSocket}, or you are not root`,
    hint: 'service holdfast-agent restart',
  });
}

export function statusText(status: AgentStatus, now: Date, style: Style): string {
  const { pid, startedAt, residentMemory, jobs, probes, history, timezone } = status;
  const since = (time: string): string =>
    durationText(Math.max(0, (now.getTime() - Date.parse(time)) / 1000));
  const until = (time: string): string =>
    durationText(Math.max(0, (Date.parse(time) - now.getTime()) / 1000));
  const width = Math.max(0, ...jobs.map(({ id }) => id.length));
  const lines = [
    style.bold(`agent ${pid}, up ${since(startedAt)}, ${formatBytes(residentMemory)}`),
    '',
    ...jobs.map(({ id, cron, nextStart, runningSince }) => {
      const when =
        runningSince !== undefined
          ? style.warn(`runs for ${since(runningSince)}`)
          : nextStart === undefined
            ? 'never'
            : `in ${until(nextStart)}`;
      return `  ${id.padEnd(width)}  ${when}  ${style.dim(`${cron} ${timezone}`)}`;
    }),
    '',
    ...probes.map(({ name, ok, seconds, why }) =>
      ok
        ? `${style.good('●')} probe ${name}: ${Math.round(seconds * 1000)} ms`
        : `${style.bad('●')} probe ${name}: ${why}`,
    ),
    '',
    ...history.slice(-10).map(({ job, finishedAt, result, exitCode }) => {
      const mark = result === 'done' ? style.good('✓') : style.bad('✗');
      const code = exitCode === undefined || exitCode === 0 ? '' : ` (exit code ${exitCode})`;
      return `${mark} ${job}: ${result}${code}, ${since(finishedAt)} ago`;
    }),
  ];
  return `${lines
    .join('\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trimEnd()}\n`;
}
