import { once } from 'node:events';
import { PassThrough, type Readable } from 'node:stream';
import t from 'tap';
import type { BackupContext } from '../../installer/backup/context.ts';
import { whileBeating } from '../../installer/backup/restore/heartbeat.ts';
import type { ExecRequest } from '../../installer/engine/engine.ts';

const CONTAINER = { id: 'c1', status: 'running', service: 'postgres', name: 'demo-postgres-1' };

/** A live server that takes `beats` heartbeats and is then started anew. */
function liveServer(beats: number) {
  const said: string[] = [];
  const engine = {
    containers: async () => [CONTAINER],
    execStream: async (_: string, { stdin }: ExecRequest) => {
      const stdout = new PassThrough();
      let taken = 0;
      const done = once(stdout, 'close').then(() => ({
        exitCode: 2,
        stderr: 'FATAL:  terminating connection due to administrator command',
      }));
      (stdin as Readable)
        .on('data', (script: Buffer) => {
          const [, end] = /\\echo '(.*)'/.exec(String(script)) ?? [];
          // What a session begins with is not answered.
          if (end === undefined) return;
          taken += 1;
          if (taken > beats) stdout.end();
          else stdout.write(`${end}\n`);
        })
        .on('end', () => stdout.end());
      return { stdout, done };
    },
  };
  const postgres = { container: CONTAINER.name, superuser: 'postgres' };
  const context = {
    engine,
    settings: { project: 'demo', postgres },
    report: (event: { readonly code?: string }) => said.push(event.code ?? ''),
  };
  return { said, context: context as unknown as BackupContext };
}

t.test('the proof is told that the live server took no more heartbeats', async (t) => {
  const { said, context } = liveServer(1);
  const result = await whileBeating(context, async (beats) => {
    t.type(beats?.firstAt, Date);
    while (said.length === 0) await new Promise((resolve) => setImmediate(resolve));
    return beats?.haveGoneOn();
  });
  t.equal(result, false);
  t.strictSame(said, ['backup/postgres-down']);
});

t.test('heartbeats that all were taken have gone on', async (t) => {
  const { said, context } = liveServer(Number.POSITIVE_INFINITY);
  t.equal(await whileBeating(context, async (beats) => beats?.haveGoneOn()), true);
  t.strictSame(said, []);
});
