import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * A port of loopback where nobody listens, for a program that has to be told one. It lies below those that the kernel
 * gives to outgoing connections and to whoever asks for any: nobody takes it by chance before the program does.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
