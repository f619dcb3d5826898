import type { Readable } from 'node:stream';
import type { UpdatableSettings } from '../model/stack.ts';

export interface EngineInfo {
  readonly version: string;
  readonly apiVersion: string;
  /** Bytes. */
  readonly memoryBytes: number;
  readonly cores: number;
  readonly dataRoot: string;
}

export interface WaitHealthyOptions {
  readonly timeoutSeconds: number;
  /**
   * Waits for the engine's own first look, as whoever watches its verdict afterwards must: before it, failures say
   * nothing while the container counts as starting.
   */
  readonly engineJudges?: boolean;
}

export interface ContainerState {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  /** Stack service name, or empty for a one-off. */
  readonly service: string;
  readonly imageId: string;
  readonly imageReference: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly status: 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';
  /** `none` when the container has no health check. */
  readonly health: 'starting' | 'healthy' | 'unhealthy' | 'none';
  readonly exitCode: number;
  readonly oomKilled: boolean;
  readonly restartCount: number;
  /** UTC. */
  readonly startedAt: string;
  /** IPv4 by network name. */
  readonly addresses: Readonly<Record<string, string>>;
  /** DNS names by network name, besides its own. */
  readonly aliases: Readonly<Record<string, readonly string[]>>;
  /** Names of the networks that it is attached to, also while it is stopped; sorted. */
  readonly networks: readonly string[];
  /** Bytes; 0 means no limit. */
  readonly memoryLimit: number;
  /** What else `docker update` changes; absent where the engine does not tell. */
  readonly updatable?: UpdatableSettings;
  /** Of its first process, on the machine of the engine; absent when it does not run. */
  readonly pid?: number;
}

export interface ImageState {
  /** `sha256:…` */
  readonly id: string;
  readonly tags: readonly string[];
  /** `repository@sha256:…` */
  readonly digests: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** `USER` of the image, as written. */
  readonly user: string;
  /** UTC. */
  readonly createdAt: string;
  /** Bytes. */
  readonly size: number;
}

export interface ExecRequest {
  readonly argv: readonly [string, ...string[]];
  readonly user?: string;
  /** Never holds a secret. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array | Readable;
  /** Seconds; no limit when absent. The program itself cannot be stopped from here and may run on. */
  readonly timeoutSeconds?: number;
}

export interface ExecStream {
  /**
   * Must be read to its end, or destroyed, before {@link ExecStream.done} settles. Fails when the engine, the
   * connection or the standard input's source does; the program may then take the broken input for its end,
   * so nothing that it did counts.
   */
  readonly stdout: Readable;
  /** Exit code and the last 16 KiB of standard error. */
  readonly done: Promise<{ readonly exitCode: number; readonly stderr: string }>;
}

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * The Docker engine, looking only: what changes the stack goes through the compose command line (`compose.ts`).
 * The API version is negotiated. Both implementations pass `test/contract/engine.ts`.
 */
export interface Engine {
  /** @throws AppError `engine/unreachable` */
  info(): Promise<EngineInfo>;
  /** All containers that carry every given label, stopped ones too, by name. */
  containers(labels: Readonly<Record<string, string>>): Promise<ContainerState[]>;
  image(reference: string): Promise<ImageState | undefined>;
  volumes(
    labels: Readonly<Record<string, string>>,
  ): Promise<{ readonly name: string; readonly labels: Readonly<Record<string, string>> }[]>;
  networks(
    labels: Readonly<Record<string, string>>,
  ): Promise<{ readonly name: string; readonly subnet: string }[]>;
  /** Runs to the end with both outputs as text, at most 8 MiB each. */
  exec(container: string, request: ExecRequest): Promise<ExecResult>;
  /** Runs with standard output as a stream: constant memory. */
  execStream(container: string, request: ExecRequest): Promise<ExecStream>;
  /** The last lines of both outputs. */
  logs(container: string, options: { readonly tail: number }): Promise<string>;
  /** Both outputs as they come, from the last lines on, until the container ends or the signal says so. */
  followLogs(
    container: string,
    options: { readonly tail: number; readonly signal: AbortSignal },
  ): AsyncIterable<Uint8Array>;
  /** Current use: bytes of memory without page cache, and CPU seconds so far. */
  stats(container: string): Promise<{ readonly memoryBytes: number; readonly cpuSeconds: number }>;
  /**
   * Resolves when every container is running and healthy (or, where it has no check, ran on for 2 s). Of one that the
   * engine has not judged yet the health check is run by us, once it has run for 5 s.
   * @throws AppError `health/not-healthy` at the deadline, at once when one exits for good.
   */
  waitHealthy(containers: readonly string[], options: WaitHealthyOptions): Promise<void>;
  close(): Promise<void>;
}
