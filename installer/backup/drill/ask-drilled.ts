import { setTimeout as wait } from 'node:timers/promises';
import type { ReplicaCheck } from '../../model/agent-settings.ts';
import { WITHOUT_LOG } from '../../model/container-log.ts';
import type { BackupContext } from '../context.ts';
import { labelArguments } from '../helper-container.ts';
import { DRILL_TASK } from './remove-drill.ts';

const PAUSE_MILLISECONDS = 1_000;

// `$1` is the service, `$2` its port, `$3` the path or nothing: then a connection is enough. The answer's first
// 64 KiB go to standard output.
const ASK = `exec 3<>"/dev/tcp/$1/$2" || exit 7
[ -n "$3" ] || exit 0
printf 'GET %s HTTP/1.0\\r\\nHost: %s:%s\\r\\nConnection: close\\r\\n\\r\\n' "$3" "$1" "$2" >&3
head -c 65536 <&3`;

export interface Asked {
  readonly network: string;
  /** Of our own, with bash. */
  readonly image: string;
  readonly service: string;
  readonly check: Exclude<ReplicaCheck, { kind: 'engine' }>;
  readonly timeoutSeconds: number;
}

/**
 * Asks a service by its name on the network of the drill, as the agent asks the live ones, until it is well.
 * @returns undefined when it is, else what it said last
 */
export async function untilWell(
  context: BackupContext,
  asked: Asked,
  deadline: number,
): Promise<string | undefined> {
  for (;;) {
    const said = await ask(context, asked);
    if (said === undefined || performance.now() > deadline) return said;
    const { signal } = context;
    await wait(PAUSE_MILLISECONDS, undefined, signal === undefined ? {} : { signal });
  }
}

async function ask(
  { host, settings }: BackupContext,
  { network, image, service, check, timeoutSeconds }: Asked,
): Promise<string | undefined> {
  const path = check.kind === 'http' ? check.path : '';
  const { exitCode, stdout, stderr } = await host.run({
    argv: [
      'docker',
      ...['run', '--rm'],
      ...labelArguments({ project: settings.project, task: DRILL_TASK }),
      ...WITHOUT_LOG,
      ...['--network', network, '--user', '65534:65534', '--cap-drop', 'ALL', '--read-only'],
      ...['--memory', '64m', '--pids-limit', '16', '--security-opt', 'no-new-privileges'],
      ...['--entrypoint', 'timeout', image],
      ...[String(Math.ceil(timeoutSeconds)), 'bash', '-c', ASK, 'bash'],
      ...[service, String(check.port), path],
    ],
    okExitCodes: Array.from({ length: 256 }, (_none, code) => code),
  });
  if (exitCode === 124) return `no answer within ${timeoutSeconds} s`;
  if (exitCode !== 0) return stderr.trim().split('\n').at(-1) || `exit code ${exitCode}`;
  return check.kind === 'port' ? undefined : wrongAnswer(check, stdout);
}

/** What is wrong with an answer of HTTP; undefined when nothing is. */
export function wrongAnswer(
  { path, expect }: Extract<ReplicaCheck, { kind: 'http' }>,
  answer: string,
): string | undefined {
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1]);
  if (!(status >= 200 && status < 400)) return `${path} answers ${status || 'no HTTP'}`;
  if (expect !== undefined && !answer.includes(expect)) {
    return `${path} answers without the expected text`;
  }
  return undefined;
}

/** What was asked, in words. */
export function checkText(check: ReplicaCheck): string {
  switch (check.kind) {
    case 'http':
      return `GET :${check.port}${check.path}`;
    case 'port':
      return `port ${check.port}`;
    case 'engine':
      return 'its own check';
  }
}
