import { createServer } from 'node:net';

/**
 * One of so many blocks of addresses for the time of a process: tests run beside each other, and the engine refuses
 * networks that overlap. The claim is an abstract socket, which goes with the process, however it ends.
 * @returns a number from 0, below `count`
 */
export async function ownBlock(pool: string, count: number): Promise<number> {
  const first = process.pid % count;
  for (let tried = 0; tried < count; tried += 1) {
    const block = (first + tried) % count;
    if (await isClaimed(`\0holdfast-test-${pool}-${block}`)) return block;
  }
  throw new Error(`all ${count} blocks of ${pool} are taken`);
}

/** The socket is never closed: a process that ends gives it back. */
function isClaimed(name: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen(name, () => resolve(true));
    server.unref();
  });
}
