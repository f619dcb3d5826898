import { type Run, serviceContainers } from '../apply/run.ts';
import { AppError } from '../errors.ts';
import type { EdgeStatus } from '../model/edge-status.ts';

const STATUS_URL_END = ':8081/replicas';

/** nginx looks at the state ten times a second; this is for a machine that swaps. */
const ADOPTION_SECONDS = 15;
const POLL_SECONDS = 0.1;

/** A request may take so long before its old replica is stopped all the same. */
const DRAIN_SECONDS = 30;

/** What nginx routes by; undefined while it does not run or does not answer. */
async function edgeStatus(run: Run): Promise<EdgeStatus | undefined> {
  const [nginx] = await serviceContainers(run, ['nginx']);
  const address = Object.values(nginx?.addresses ?? {}).find((one) => one !== '');
  if (nginx?.status !== 'running' || address === undefined) return undefined;
  const { exitCode, stdout } = await run.host.run({
    argv: [
      'curl',
      '--silent',
      '--fail',
      '--noproxy',
      '*',
      '--max-time',
      '5',
      `http://${address}${STATUS_URL_END}`,
    ],
    okExitCodes: CURL_FAILURES,
    timeoutSeconds: 15,
  });
  return exitCode === 0 ? (JSON.parse(stdout) as EdgeStatus) : undefined;
}

/** All of curl(1)'s exit codes. */
const CURL_FAILURES = Array.from({ length: 100 }, (_, code) => code);

/**
 * Resolves when every new request for the service goes to these containers and no other one; at once while
 * nginx is down or does not route to the service.
 * @throws AppError `health/edge-not-following`
 */
export async function waitForAdoption(
  run: Run,
  service: string,
  containers: readonly string[],
): Promise<void> {
  const deadline = run.clock.now().getTime() + ADOPTION_SECONDS * 1000;
  for (;;) {
    const listed = (await edgeStatus(run))?.services[service];
    if (listed === undefined) return;
    const names = Object.keys(listed);
    if (names.length > 0 && names.every((name) => containers.includes(name))) return;
    if (run.clock.now().getTime() >= deadline) {
      throw new AppError({
        code: 'health/edge-not-following',
        what: `nginx does not send the requests for ${service} to ${containers.join(', ')}`,
        why: `after ${ADOPTION_SECONDS} s it still sends them to ${names.join(', ') || 'nobody'}`,
        hint: '`holdfast logs nginx` tells what it cannot read or resolve',
      });
    }
    await run.clock.pause(POLL_SECONDS);
  }
}

/**
 * Resolves when no request is on its way to these containers any more, or after 30 s. WebSockets are not waited
 * for: the program closes them when it is told to end.
 */
export async function drain(run: Run, containers: readonly string[]): Promise<void> {
  if (containers.length === 0) return;
  const deadline = run.clock.now().getTime() + DRAIN_SECONDS * 1000;
  for (;;) {
    const status = await edgeStatus(run);
    const busy = containers.filter((name) => (status?.inFlight[name]?.requests ?? 0) > 0);
    if (busy.length === 0) return;
    if (run.clock.now().getTime() >= deadline) {
      run.report({
        kind: 'warning',
        code: 'rollout/cut-off',
        text: `requests to ${busy.join(', ')} take longer than ${DRAIN_SECONDS} s: they are cut off`,
      });
      return;
    }
    await run.clock.pause(POLL_SECONDS);
  }
}
