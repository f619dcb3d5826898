import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type {
  ContainerState,
  Engine,
  EngineInfo,
  ExecRequest,
  ExecResult,
  ExecStream,
  ImageState,
} from '../../installer/engine/engine.ts';
import { AppError } from '../../installer/errors.ts';
import { Effects } from './effects.ts';
import { FakeObjects, type Labels } from './fake-objects.ts';

export interface ExecCall {
  readonly container: ContainerState;
  readonly argv: readonly string[];
  readonly user: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: Buffer;
}

/** What a program in a container leaves behind; exit code 0 and no output where absent. */
export interface Executed {
  readonly exitCode?: number;
  readonly stdout?: string | Uint8Array;
  readonly stderr?: string;
}

export type ExecHandler = (call: ExecCall) => Executed | undefined | Promise<Executed | undefined>;

/** A Docker engine in memory. `fake-docker.ts` gives a MemoryHost the commands that change it. */
export class FakeEngine extends FakeObjects implements Engine {
  /** Everything that was executed in containers so far. */
  readonly execs: ExecCall[] = [];
  /** When true every call fails as with a stopped engine. */
  unreachable = false;
  readonly #handlers: {
    service: string | undefined;
    words: readonly string[];
    run: ExecHandler;
  }[] = [];
  readonly #effects: Effects;

  /** @param effects the MemoryHost's, so that an exec counts as one of its effects */
  constructor(effects = new Effects()) {
    super();
    this.#effects = effects;
  }

  /** Registers a program inside containers by its first words; without `service`, in all of them. */
  onExec(words: readonly string[], run: ExecHandler, service?: string): this {
    this.#handlers.push({ service, words, run });
    return this;
  }

  async info(): Promise<EngineInfo> {
    return this.#look(() => ({
      version: '26.1.5',
      apiVersion: '1.45',
      memoryBytes: 4 * 1024 ** 3,
      cores: 2,
      dataRoot: '/var/lib/docker',
    }));
  }

  async containers(labels: Labels): Promise<ContainerState[]> {
    return this.#look(() =>
      this.all()
        .filter((one) => carries(one.labels, labels))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    );
  }

  async image(reference: string): Promise<ImageState | undefined> {
    return this.#look(() => this.findImage(reference));
  }

  async volumes(labels: Labels) {
    return this.#look(() =>
      [...this.volumeLabels]
        .map(([name, own]) => ({ name, labels: own }))
        .filter((one) => carries(one.labels, labels)),
    );
  }

  async networks(labels: Labels) {
    return this.#look(() =>
      [...this.networkStates]
        .filter(([, one]) => carries(one.labels, labels))
        .map(([name, { subnet }]) => ({ name, subnet })),
    );
  }

  async exec(container: string, request: ExecRequest): Promise<ExecResult> {
    const { exitCode, stdout, stderr } = await this.#execIn(container, request);
    return { exitCode, stdout: stdout.toString('utf8'), stderr };
  }

  async execStream(container: string, request: ExecRequest): Promise<ExecStream> {
    const { stdout, stderr, exitCode } = await this.#execIn(container, request);
    const stream = Readable.from(stdout.length === 0 ? [] : [stdout]);
    const done = new Promise<{ exitCode: number; stderr: string }>((resolve) => {
      stream.once('close', () => resolve({ exitCode, stderr: stderr.slice(-16 * 1024) }));
    });
    return { stdout: stream, done };
  }

  async logs(container: string, { tail }: { readonly tail: number }): Promise<string> {
    return this.#look(() => this.lastLines(this.get(container), tail));
  }

  async *followLogs(
    container: string,
    { tail, signal }: { readonly tail: number; readonly signal: AbortSignal },
  ): AsyncGenerator<Uint8Array> {
    const [text, isRunning] = await this.#look(() => {
      const state = this.get(container);
      return [this.lastLines(state, tail), state.status === 'running'] as const;
    });
    if (text !== '') yield Buffer.from(`${text}\n`);
    if (isRunning && !signal.aborted) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    }
  }

  async stats(container: string) {
    return this.#look(() => {
      const behaviour = this.behaviourOf(this.get(container));
      const { memoryBytes = 10_000_000, cpuSeconds = 0 } = behaviour;
      return { memoryBytes, cpuSeconds };
    });
  }

  async waitHealthy(containers: readonly string[]): Promise<void> {
    return this.#look(() => {
      const states = containers.map((id) => this.get(id));
      const sick = states.filter((state) => {
        const { status, health } = state;
        const isEarly = health === 'starting' && this.behaviourOf(state).answersEarly === true;
        return status !== 'running' || !(health === 'healthy' || health === 'none' || isEarly);
      });
      if (sick.length === 0) return;
      throw new AppError({
        code: 'health/not-healthy',
        what: `not healthy: ${sick.map(({ name }) => name).join(', ')}`,
        why: sick.map((one) => `${one.name}:\n${this.lastLines(one, 20)}`).join('\n'),
        hint: `holdfast logs ${sick[0]?.service}`,
      });
    });
  }

  async close(): Promise<void> {
    // Nothing is open.
  }

  async #execIn(container: string, request: ExecRequest) {
    const stdin = await bytesOf(request.stdin);
    const state = await this.#look(() => this.get(container));
    if (state.status !== 'running') {
      throw new AppError({
        code: 'engine/not-running',
        what: `container ${state.name} is not running`,
        hint: 'holdfast status',
      });
    }
    const { argv, user, env = {} } = request;
    const call = { container: state, argv, user, env, stdin };
    const line = `exec ${state.service || state.name} ${argv.join(' ')}`;
    const executed = await this.#effects.perform(line, () => this.#execute(call));
    const { exitCode = 0, stdout = '', stderr = '' } = executed ?? {};
    return { exitCode, stdout: Buffer.from(stdout as string), stderr };
  }

  #execute(call: ExecCall): ReturnType<ExecHandler> {
    this.execs.push(call);
    const handler = this.#handlers.findLast(
      ({ service, words }) =>
        (service === undefined || service === call.container.service) &&
        words.every((word, index) => call.argv[index] === word),
    );
    if (handler !== undefined) return handler.run(call);
    return { exitCode: 127, stderr: `${call.argv[0]}: not found in the fake` };
  }

  async #look<T>(work: () => T | Promise<T>): Promise<T> {
    return this.#effects.look(() => {
      if (!this.unreachable) return work();
      throw new AppError({
        code: 'engine/unreachable',
        what: 'the Docker engine does not answer',
        hint: 'systemctl start docker',
      });
    });
  }
}

function carries(own: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => own[key] === value);
}

async function bytesOf(stdin: ExecRequest['stdin']): Promise<Buffer> {
  if (stdin === undefined) return Buffer.alloc(0);
  return stdin instanceof Readable ? buffer(stdin) : Buffer.from(stdin as string);
}
