import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createConnection, createServer, type Socket } from 'node:net';

const ENGINE = '/var/run/docker.sock';

/** A way to the engine that is cut, both ends, once so many bytes of one connection have passed. */
export class CuttingProxy {
  /** For `DOCKER_HOST`. */
  readonly address: string;
  /** How often it was cut. */
  cuts = 0;
  readonly #close: () => Promise<void>;

  private constructor(path: string, close: () => Promise<void>) {
    this.address = `unix://${path}`;
    this.#close = close;
  }

  static async start(path: string, direction: 'from' | 'to', after: number): Promise<CuttingProxy> {
    const open = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (client) => {
      const engine = createConnection({ path: ENGINE, allowHalfOpen: true });
      let passed = 0;
      const watched = direction === 'from' ? engine : client;
      watched.on('data', (chunk: Buffer) => {
        passed += chunk.length;
        if (passed <= after || client.destroyed) return;
        proxy.cuts += 1;
        client.destroy();
        engine.destroy();
      });
      for (const socket of [client, engine]) {
        open.add(socket);
        socket.on('error', () => undefined).once('close', () => open.delete(socket));
      }
      client.pipe(engine);
      engine.pipe(client);
    });
    server.listen(path);
    await once(server, 'listening');
    const proxy = new CuttingProxy(path, async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await rm(path, { force: true });
    });
    return proxy;
  }

  /** Lets the engine's own client go this way while something is done. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    process.env['DOCKER_HOST'] = this.address;
    try {
      return await work();
    } finally {
      delete process.env['DOCKER_HOST'];
      await this.#close();
    }
  }
}
