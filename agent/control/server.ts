import type { Server, Socket } from 'node:net';
import { fs, net } from '../builtins.ts';
import { removeFile } from '../files.ts';
import { type Log, reasonOf } from '../log.ts';
import type { AgentAnswer, AgentRequest } from './protocol.ts';

const LONGEST_REQUEST = 4_096;
const PATIENCE = 5_000;

/** Answers the command line through a unix socket that only root can open. There is no TCP port. */
export async function listen(
  path: string,
  answer: (request: AgentRequest) => AgentAnswer,
  log: Log,
): Promise<Server> {
  const folder = path.slice(0, path.lastIndexOf('/'));
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Left by an agent that was killed; that there is no other one is known by the lock.
  removeFile(path);
  const server = net.createServer((socket) => converse(socket, answer, log));
  // The mode has to be right from the first moment: there is none to change it in between.
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  } finally {
    process.umask(mask);
  }
  server.on('error', (error) => log(`socket: ${error.message}`));
  return server;
}

function converse(socket: Socket, answer: (request: AgentRequest) => AgentAnswer, log: Log): void {
  let text = '';
  socket.setEncoding('utf8');
  socket.setTimeout(PATIENCE, () => socket.destroy());
  socket.on('error', (error) => log(`socket: ${error.message}`));
  socket.on('data', (chunk: string) => {
    text += chunk;
    const end = text.indexOf('\n');
    if (end >= 0) socket.end(`${JSON.stringify(respond(text.slice(0, end), answer))}\n`);
    else if (text.length > LONGEST_REQUEST) socket.destroy();
  });
}

function respond(line: string, answer: (request: AgentRequest) => AgentAnswer): AgentAnswer {
  try {
    return answer(JSON.parse(line) as AgentRequest);
  } catch (error) {
    return { ok: false, what: reasonOf(error) };
  }
}
