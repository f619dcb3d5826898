import type Docker from 'dockerode';
import type { ContainerInspectInfo } from 'dockerode';
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
  WaitHealthyOptions,
} from './engine.ts';
import { EngineClient, type EngineConnection } from './engine-client.ts';
import { statusOf } from './engine-error.ts';
import { startExec } from './exec.ts';
import { followLogs } from './follow-logs.ts';
import { demultiplex } from './frames.ts';
import { memoryInUse } from './stats.ts';
import { waitHealthy } from './wait-healthy.ts';

/** Bytes of each output of a program in a container that are kept. */
const OUTPUT_LIMIT = 8 * 1024 * 1024;

/** A Docker engine behind its API: of this machine, or through {@link EngineConnection.agent} of another. */
export class DockerEngine implements Engine {
  readonly #client: EngineClient;

  constructor(connection: EngineConnection = {}) {
    this.#client = new EngineClient(connection);
  }

  async info(): Promise<EngineInfo> {
    return this.#client.look('tell about itself', async (docker) => {
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
    return this.#client.look('list containers', async (docker) => {
      const listed = await docker.listContainers({ all: true, filters: labelFilter(labels) });
      const infos = await Promise.all(listed.map(({ Id }) => inspect(docker, Id)));
      return infos
        .flatMap((info) => (info === undefined ? [] : [containerState(info)]))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    });
  }

  async image(reference: string): Promise<ImageState | undefined> {
    return this.#client.look(`inspect the image ${reference}`, async (docker) => {
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
    return this.#client.look('list volumes', async (docker) => {
      const { Volumes } = await docker.listVolumes({ filters: labelFilter(labels) });
      return (Volumes ?? [])
        .map(({ Name, Labels }) => ({ name: Name, labels: Labels ?? {} }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    });
  }

  async networks(labels: Readonly<Record<string, string>>) {
    return this.#client.look('list networks', async (docker) => {
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
    return this.#client.look(`read the logs of ${container}`, (docker) =>
      readLogs(docker, container, tail),
    );
  }

  followLogs(
    container: string,
    options: { readonly tail: number; readonly signal: AbortSignal },
  ): AsyncIterable<Uint8Array> {
    return followLogs(this.#client, container, options);
  }

  async stats(container: string) {
    return this.#client.look(`measure ${container}`, async (docker) => {
      const stats = await docker.getContainer(container).stats({ stream: false, 'one-shot': true });
      return {
        memoryBytes: memoryInUse(stats.memory_stats),
        cpuSeconds: stats.cpu_stats.cpu_usage.total_usage / 1e9,
      };
    });
  }

  async waitHealthy(containers: readonly string[], options: WaitHealthyOptions): Promise<void> {
    const view = {
      inspect: (id: string) => this.#client.look(`inspect ${id}`, (docker) => inspect(docker, id)),
      logs: (id: string, tail: number) => this.logs(id, { tail }),
      succeeds: async (
        id: string,
        argv: readonly [string, ...string[]],
        timeoutSeconds: number,
      ) => {
        try {
          return (await this.exec(id, { argv, timeoutSeconds })).exitCode === 0;
        } catch {
          // It ended or hangs, or the engine went: the next look at it tells which.
          return false;
        }
      },
    };
    await waitHealthy(view, containers, options);
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  async #startExec(container: string, request: ExecRequest, stderrLimit?: number) {
    return this.#client.look(`run ${request.argv[0]} in ${container}`, (docker) =>
      startExec(docker.getContainer(container), request, stderrLimit),
    );
  }
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
