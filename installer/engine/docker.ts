import type { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import Docker, { type ContainerInspectInfo, type DockerOptions } from 'dockerode';
import { TailBuffer } from '../host/tail-buffer.ts';
import { containerState } from './container-state.ts';
import type {
  ContainerState,
  Engine,
  EngineInfo,
  ExecRequest,
  ExecResult,
  ExecStream,
  ImageState,
} from './engine.ts';
import { engineError, messageOf, statusOf, unreachable } from './engine-error.ts';
import { startExec } from './exec.ts';
import { demultiplex } from './frames.ts';
import { negotiate } from './negotiate.ts';
import { memoryInUse } from './stats.ts';
import { waitHealthy } from './wait-healthy.ts';

/** Bytes of each output of a program in a container that are kept. */
const OUTPUT_LIMIT = 8 * 1024 * 1024;

/** How long a look may take, seconds: an engine that hangs must not hang us. */
const LOOK_SECONDS = 60;

export interface DockerEngineOptions {
  /** For messages: the {@link import('../host/host.ts').Host.name}. */
  readonly host?: string;
  /** Socket of the engine on this machine; the docker program's own default when absent. */
  readonly socketPath?: string;
  /** Makes the connections instead, to the engine of another machine. */
  readonly agent?: Agent;
}

/** A Docker engine behind its API: of this machine, or through {@link DockerEngineOptions.agent} of another. */
export class DockerEngine implements Engine {
  readonly #docker: Docker;
  readonly #host: string;
  readonly #agent: Agent | undefined;
  #negotiated: Promise<void> | undefined;

  constructor({ host = 'localhost', socketPath, agent }: DockerEngineOptions = {}) {
    this.#host = host;
    this.#agent = agent;
    this.#docker = new Docker(connection({ socketPath, agent }));
  }

  async info(): Promise<EngineInfo> {
    return this.#look('tell about itself', async (docker) => {
      const [info, version] = await Promise.all([docker.info(), docker.version()]);
      return {
        version: version.Version,
        apiVersion: version.ApiVersion,
        memoryBytes: info.MemTotal,
        cores: info.NCPU,
        dataRoot: info.DockerRootDir,
      };
    });
  }

  async containers(labels: Readonly<Record<string, string>>): Promise<ContainerState[]> {
    return this.#look('list containers', async (docker) => {
      const listed = await docker.listContainers({ all: true, filters: labelFilter(labels) });
      const infos = await Promise.all(listed.map(({ Id }) => inspect(docker, Id)));
      return infos
        .flatMap((info) => (info === undefined ? [] : [containerState(info)]))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    });
  }

  async image(reference: string): Promise<ImageState | undefined> {
    return this.#look(`inspect the image ${reference}`, async (docker) => {
      const info = await unlessAbsent(docker.getImage(reference).inspect());
      return (
        info && {
          id: info.Id,
          tags: info.RepoTags ?? [],
          digests: info.RepoDigests ?? [],
          labels: info.Config?.Labels ?? {},
          user: info.Config?.User ?? '',
          createdAt: info.Created,
          size: info.Size,
        }
      );
    });
  }

  async volumes(labels: Readonly<Record<string, string>>) {
    return this.#look('list volumes', async (docker) => {
      const { Volumes } = await docker.listVolumes({ filters: labelFilter(labels) });
      return (Volumes ?? [])
        .map(({ Name, Labels }) => ({ name: Name, labels: Labels ?? {} }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    });
  }

  async networks(labels: Readonly<Record<string, string>>) {
    return this.#look('list networks', async (docker) => {
      const networks = await docker.listNetworks({ filters: labelFilter(labels) });
      return networks
        .map(({ Name, IPAM }) => ({ name: Name, subnet: IPAM?.Config?.[0]?.Subnet ?? '' }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    });
  }

  async exec(container: string, request: ExecRequest): Promise<ExecResult> {
    const { stdout, done } = await this.#startExec(container, request, OUTPUT_LIMIT);
    const output = new TailBuffer(OUTPUT_LIMIT);
    for await (const chunk of stdout) output.push(chunk as Buffer);
    return { ...(await done), stdout: output.text() };
  }

  async execStream(container: string, request: ExecRequest): Promise<ExecStream> {
    return this.#startExec(container, request);
  }

  async logs(container: string, { tail }: { readonly tail: number }): Promise<string> {
    return this.#look(`read the logs of ${container}`, (docker) =>
      readLogs(docker, container, tail),
    );
  }

  async stats(container: string) {
    return this.#look(`measure ${container}`, async (docker) => {
      const stats = await docker.getContainer(container).stats({ stream: false, 'one-shot': true });
      return {
        memoryBytes: memoryInUse(stats.memory_stats),
        cpuSeconds: stats.cpu_stats.cpu_usage.total_usage / 1e9,
      };
    });
  }

  async waitHealthy(
    containers: readonly string[],
    options: { readonly timeoutSeconds: number },
  ): Promise<void> {
    const view = {
      inspect: (id: string) => this.#look(`inspect ${id}`, (docker) => inspect(docker, id)),
      logs: (id: string, tail: number) => this.logs(id, { tail }),
    };
    await waitHealthy(view, containers, options.timeoutSeconds);
  }

  async close(): Promise<void> {
    this.#agent?.destroy();
  }

  async #startExec(container: string, request: ExecRequest, stderrLimit?: number) {
    return this.#look(`run ${request.argv[0]} in ${container}`, (docker) =>
      startExec(docker.getContainer(container), request, stderrLimit),
    );
  }

  /** Every call: at a negotiated version, within a deadline, with errors that say what to do. */
  async #look<T>(action: string, work: (docker: Docker) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    const hanging = delay(LOOK_SECONDS * 1000, undefined, { signal: stop.signal, ref: false }).then(
      () => {
        throw unreachable(this.#host, `it did not ${action} within ${LOOK_SECONDS} s`);
      },
    );
    try {
      return await Promise.race([this.#negotiatedLook(work), hanging]);
    } catch (error) {
      throw engineError(this.#host, action, error);
    } finally {
      hanging.catch(() => undefined);
      stop.abort();
    }
  }

  async #negotiatedLook<T>(work: (docker: Docker) => Promise<T>): Promise<T> {
    await this.#negotiate();
    try {
      return await work(this.#docker);
    } catch (error) {
      // The engine was replaced by another version while we were running.
      if (!(statusOf(error) === 400 && /client version/.test(messageOf(error)))) throw error;
      this.#negotiated = undefined;
      await this.#negotiate();
      return work(this.#docker);
    }
  }

  async #negotiate(): Promise<void> {
    this.#negotiated ??= negotiate(this.#docker);
    try {
      await this.#negotiated;
    } catch (error) {
      this.#negotiated = undefined;
      throw error;
    }
  }
}

function connection({
  socketPath,
  agent,
}: {
  readonly socketPath: string | undefined;
  readonly agent: Agent | undefined;
}): DockerOptions & { readonly agent?: Agent } {
  // The host name is never looked up: the agent alone decides where a connection goes.
  if (agent !== undefined) return { agent, protocol: 'http', host: 'engine', port: 80 };
  return socketPath === undefined ? {} : { socketPath };
}

function labelFilter(labels: Readonly<Record<string, string>>): { label: string[] } {
  return { label: Object.entries(labels).map(([key, value]) => `${key}=${value}`) };
}

async function inspect(docker: Docker, id: string): Promise<ContainerInspectInfo | undefined> {
  return unlessAbsent(docker.getContainer(id).inspect());
}

async function unlessAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw error;
  }
}

async function readLogs(docker: Docker, id: string, tail: number): Promise<string> {
  const container = docker.getContainer(id);
  const [bytes, info] = await Promise.all([
    container.logs({ stdout: true, stderr: true, follow: false, tail }),
    container.inspect(),
  ]);
  if (info.Config.Tty) return bytes.toString('utf8');
  const output = new TailBuffer(OUTPUT_LIMIT);
  for await (const { chunk } of demultiplex(oneChunk(bytes))) output.push(chunk);
  return output.text();
}

async function* oneChunk(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
