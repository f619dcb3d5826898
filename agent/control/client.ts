import { connect } from 'node:net';
import type { AgentAnswer, AgentRequest } from './protocol.ts';

const PATIENCE = 5_000;

/** Asks the agent of this machine; undefined when none answers. */
export function askAgent(
  socketPath: string,
  request: AgentRequest,
): Promise<AgentAnswer | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(socketPath, () => socket.write(`${JSON.stringify(request)}\n`));
    socket.setEncoding('utf8');
    socket.setTimeout(PATIENCE, () => socket.destroy());
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    // A refused connection is the answer: `close` follows.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      resolve(text.endsWith('\n') ? (JSON.parse(text) as AgentAnswer) : undefined);
    });
  });
}
