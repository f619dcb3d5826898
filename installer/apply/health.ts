import type { ContainerState } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import type { HttpCheck, PortCheck } from '../model/contribution.ts';
import type { Desired } from '../model/desired.ts';
import type { StackService } from '../model/stack.ts';
import { parseDuration } from '../model/units.ts';
import { probe } from './probe.ts';
import { redact } from './redact.ts';
import {
  again,
  knownSecrets,
  quoted,
  type Run,
  serviceContainers,
  servingContainers,
} from './run.ts';

const SHORTEST_WAIT_SECONDS = 60;
const LONGEST_WAIT_SECONDS = 600;
const LOG_LINES = 20;

/**
 * Resolves when every container of these services is healthy, by its own check and by ours from outside.
 * @throws AppError `health/not-healthy` with the failed container's last lines
 */
export async function waitForServices(run: Run, services: readonly string[]): Promise<void> {
  for (const service of services) {
    await waitForContainers(run, service, await servingContainers(run, service));
  }
}

/**
 * The same for some containers of one service.
 * @param checks how they are asked from outside
 */
export async function waitForContainers(
  run: Run,
  service: string,
  containers: readonly ContainerState[],
  checks = checksOf(run, service),
): Promise<void> {
  const definition = run.desired.stack.services[service];
  const timeoutSeconds = definition === undefined ? SHORTEST_WAIT_SECONDS : patience(definition);
  if (containers.length === 0) {
    throw new AppError({
      code: 'health/not-healthy',
      what: `${service} has no container`,
      hint: again(run),
    });
  }
  try {
    await run.engine.waitHealthy(
      containers.map(({ id }) => id),
      // A release that takes over is watched by the engine's verdict.
      { timeoutSeconds, engineJudges: run.desired.rolled.has(service) },
    );
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'health/not-healthy') throw error;
    throw withoutSecrets(run, service, error);
  }
  // Addresses are known for sure once it runs.
  const ids = containers.map(({ id }) => id);
  const running = (await serviceContainers(run, [service])).filter(({ id }) => ids.includes(id));
  for (const check of checks) {
    await waitForAnswers(run, check, running);
  }
}

/** Seconds that a service may take by its own health check, and some more for a busy machine. */
export function patience({ healthcheck }: StackService): number {
  const { interval = '30s', retries = 3, start_period = '0s' } = healthcheck;
  const own = (parseDuration(start_period) ?? 0) + retries * (parseDuration(interval) ?? 30);
  return Math.min(LONGEST_WAIT_SECONDS, Math.max(SHORTEST_WAIT_SECONDS, own + 30));
}

/** Whether a container answers our own checks of its service at this moment. */
export async function answersNow(
  { host }: Pick<Run, 'host'>,
  checks: readonly (HttpCheck | PortCheck)[],
  container: ContainerState,
): Promise<boolean> {
  for (const check of checks) {
    if ((await probe(host, check, container)) !== undefined) return false;
  }
  return true;
}

/** How the replicas of a service are asked from outside. */
export function checksOf(
  { desired }: { readonly desired: Pick<Desired, 'httpChecks' | 'portChecks'> },
  name: string,
): (HttpCheck | PortCheck)[] {
  return [...desired.httpChecks, ...desired.portChecks].filter(({ service }) => service === name);
}

async function waitForAnswers(
  run: Run,
  check: HttpCheck | PortCheck,
  containers: readonly ContainerState[],
): Promise<void> {
  const deadline =
    run.clock.elapsed() +
    Math.max(SHORTEST_WAIT_SECONDS, check.intervalSeconds * check.unhealthy) * 1000;
  for (const container of containers) {
    let successes = 0;
    while (successes < check.healthy) {
      const failure = await probe(run.host, check, container);
      successes = failure === undefined ? successes + 1 : 0;
      if (failure !== undefined && run.clock.elapsed() >= deadline) {
        throw await notAnswering(run, check, container, failure);
      }
      if (successes < check.healthy) await run.clock.pause(Math.min(1, check.intervalSeconds));
    }
  }
}

/** The engine's message has the last lines of every container that failed; a program may log its password. */
function withoutSecrets(run: Run, service: string, error: AppError): AppError {
  return new AppError({
    code: 'health/not-healthy',
    what: `${service} did not become healthy`,
    why: redact(error.why ?? error.what, knownSecrets(run)),
    hint: hintFor(run, service),
    details: { service },
  });
}

async function notAnswering(
  run: Run,
  { service }: PortCheck,
  container: ContainerState,
  answer: string,
): Promise<AppError> {
  const logs = quoted(run, await run.engine.logs(container.id, { tail: LOG_LINES }));
  return new AppError({
    code: 'health/not-healthy',
    what: `${service} did not become healthy`,
    why: `${quoted(run, answer)}\n${logs === '' ? 'it logged nothing' : `last log lines:\n${logs}`}`,
    hint: hintFor(run, service),
    details: { service, container: container.name },
  });
}

function hintFor(run: Run, service: string): string {
  return `correct it and ${again(run)}; \`holdfast logs ${service}\` shows more`;
}
