import { checksOf } from '../apply/health.ts';
import { probe } from '../apply/probe.ts';
import { again, quoted, type Run } from '../apply/run.ts';
import type { ContainerState } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import type { HttpCheck, PortCheck } from '../model/contribution.ts';
import { otherSlot } from '../model/edge-state.ts';
import { LABELS } from '../model/labels.ts';
import { type Replacement, retire, returnTo } from './release.ts';

const POLL_SECONDS = 0.5;
const LOG_LINES = 20;
/** A release that stops answering is found within this share of its watch, however seldom it is asked later on. */
const FOUND_WITHIN = 1 / 3;

/** A release that has taken over, until its watch is over. */
interface Watched {
  readonly replacement: Replacement;
  readonly questions: readonly Question[];
  isOver: boolean;
  /** The release before it has to serve again. */
  isFailing: boolean;
  /** The end of the release before it. */
  retiring?: Promise<void>;
}

/** What one container is asked again and again. */
interface Question {
  readonly check: HttpCheck | PortCheck;
  readonly name: string;
  readonly everyMilliseconds: number;
  /** As `elapsed` of the run's clock. */
  nextAt: number;
  /** In a row. */
  failures: number;
}

interface Failure {
  readonly name: string;
  /** Absent when there is no container of it any more. */
  readonly id?: string;
  readonly kind: 'died' | 'stopped answering';
  readonly how: string;
}

/**
 * Watches releases that have taken over, each for its time, beside whatever else is done meanwhile. When one dies or
 * stops answering, the release before it serves again at once.
 */
export class ReleaseWatch {
  readonly #run: Run;
  readonly #all: Watched[] = [];
  readonly #returns: Promise<void>[] = [];
  #looking: Promise<void> | undefined;
  #isLeft = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(run: Run) {
    this.#run = run;
  }

  /** A first release is not watched: there is none before it. */
  add(replacement: Replacement): void {
    if (replacement.before.length === 0) return;
    const questions = questionsOf(this.#run, replacement);
    this.#all.push({ replacement, questions, isOver: false, isFailing: false });
    this.#looking ??= this.#look();
  }

  /** Stops what a release took over from, unless that has to serve again meanwhile. */
  async retireBefore(replacement: Replacement): Promise<void> {
    const watched = this.#all.find((one) => one.replacement === replacement);
    if (watched === undefined) return;
    watched.retiring = retire(this.#run, replacement.before, () => watched.isFailing);
    await watched.retiring;
  }

  /**
   * Resolves at once while all is well.
   * @throws AppError `health/release-died` once the release before serves again
   */
  async refuseFailed(): Promise<void> {
    if (this.#returns.length > 0) await this.leave();
    this.#throwFailure();
  }

  /** @throws AppError `health/release-died` */
  async end(): Promise<void> {
    await this.#looking;
    await this.leave();
    this.#throwFailure();
  }

  /** Looks no more; resolves when nothing is on its way any more. What went wrong is then told by {@link refuseFailed}. */
  async leave(): Promise<void> {
    this.#isLeft = true;
    await this.#looking;
    await Promise.all(this.#returns);
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #look(): Promise<void> {
    try {
      for (;;) {
        const open = this.#all.filter(({ isOver }) => !isOver);
        if (this.#isLeft || open.length === 0) break;
        await Promise.all(open.map((one) => this.#lookAt(one)));
        await this.#run.clock.pause(POLL_SECONDS);
      }
    } catch (error) {
      this.#failure ??= { error };
      this.#isLeft = true;
    }
    this.#looking = undefined;
  }

  async #lookAt(watched: Watched): Promise<void> {
    const { switchedAt, rolled } = watched.replacement;
    const isLate = this.#run.clock.elapsed() >= switchedAt + rolled.watchSeconds * 1000;
    const failure = await this.#findFailure(watched, isLate);
    if (failure !== undefined) {
      watched.isFailing = true;
      this.#returns.push(this.#return(watched, failure));
    }
    // One that has begun to fail is asked until it is known what becomes of it.
    const isUndecided = watched.questions.some(({ failures }) => failures > 0);
    watched.isOver = watched.isFailing || (isLate && !isUndecided);
  }

  async #findFailure(
    { replacement, questions }: Watched,
    isLate: boolean,
  ): Promise<Failure | undefined> {
    const { engine, project, clock } = this.#run;
    const { containers, rolled } = replacement;
    const now = await engine.containers({
      [LABELS.project]: project,
      [LABELS.service]: rolled.service,
    });
    const dead = findDead(containers, now);
    if (dead !== undefined) return dead;
    const due = questions.filter(
      ({ nextAt, failures }) => nextAt <= clock.elapsed() && (!isLate || failures > 0),
    );
    const answers = await Promise.all(due.map((question) => this.#ask(question, now)));
    return answers.find((answer) => answer !== undefined);
  }

  async #ask(
    question: Question,
    containers: readonly ContainerState[],
  ): Promise<Failure | undefined> {
    const { host, clock } = this.#run;
    const { check, name } = question;
    const container = containers.find((one) => one.name === name);
    if (container === undefined) return undefined;
    question.nextAt = clock.elapsed() + question.everyMilliseconds;
    const answer = await probe(host, check, container);
    question.failures = answer === undefined ? 0 : question.failures + 1;
    if (answer === undefined || question.failures < check.unhealthy) return undefined;
    const how = `failed ${question.failures} checks in a row: ${quoted(this.#run, answer)}`;
    return { name, id: container.id, kind: 'stopped answering', how };
  }

  async #return(watched: Watched, failure: Failure): Promise<void> {
    try {
      // What is being stopped cannot be started yet; a retirement that failed tells so itself.
      await watched.retiring?.catch(() => undefined);
      const error = await goBack(this.#run, watched.replacement, failure);
      this.#failure ??= { error };
    } catch (error) {
      this.#failure ??= { error };
    }
  }
}

function questionsOf(run: Run, { rolled, containers, switchedAt }: Replacement): Question[] {
  return checksOf(run, rolled.service).flatMap((check) => {
    const longest = (rolled.watchSeconds * FOUND_WITHIN) / check.unhealthy;
    const everyMilliseconds = Math.min(check.intervalSeconds, longest) * 1000;
    return containers.map(({ name }) => ({
      check,
      name,
      everyMilliseconds,
      nextAt: switchedAt,
      failures: 0,
    }));
  });
}

function findDead(
  containers: readonly ContainerState[],
  now: readonly ContainerState[],
): Failure | undefined {
  for (const { id, name, restartCount } of containers) {
    const state = now.find((one) => one.id === id);
    if (state === undefined) return { name, kind: 'died', how: 'was removed' };
    const how = howItDied(state, restartCount);
    if (how !== undefined) return { name, id, kind: 'died', how };
  }
  return undefined;
}

function howItDied(state: ContainerState, restartsBefore: number): string | undefined {
  const { status, health, exitCode, restartCount, oomKilled } = state;
  const ending = `exit code ${exitCode}${oomKilled ? ', out of memory' : ''}`;
  if (restartCount > restartsBefore) return `ended and was started again, ${ending}`;
  if (status !== 'running') return `is ${status}, ${ending}`;
  return health === 'unhealthy' ? 'became unhealthy' : undefined;
}

async function goBack(
  run: Run,
  { rolled, rolledBefore, slot }: Replacement,
  { name, id, kind, how }: Failure,
): Promise<AppError> {
  const logs = id === undefined ? '' : quoted(run, await run.engine.logs(id, { tail: LOG_LINES }));
  await returnTo(run, rolledBefore, otherSlot(slot));
  return new AppError({
    code: 'health/release-died',
    what: `${rolled.service} ${kind} within ${rolled.watchSeconds} s after it had taken over: the release before serves again`,
    why: `${name} ${how}\n${logs === '' ? 'it logged nothing' : `last log lines:\n${logs}`}`,
    hint: `correct it and ${again(run)}; \`docker logs ${name}\` shows more`,
    details: { service: rolled.service, container: name },
  });
}
