import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../agent/clock.ts';
import { cronTimes } from '../../installer/components/agent/cron-times.ts';
import type { AgentSettings, ScheduledJob } from '../../installer/model/agent-settings.ts';
import { type Paths, pathsUnder } from '../../installer/model/paths.ts';

/** A clock that stands still until the test moves it. */
export class HandClock implements Clock {
  #now: number;
  #waiting: { at: number; readonly run: () => void }[] = [];

  constructor(start: string) {
    this.#now = Date.parse(start);
  }

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, run: () => void): () => void {
    const entry = { at: this.#now + milliseconds, run };
    this.#waiting.push(entry);
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== entry);
    };
  }

  /** Somebody sets the time of day; what waits goes on waiting as long as before. */
  set(milliseconds: number): void {
    this.#now += milliseconds;
    for (const entry of this.#waiting) entry.at += milliseconds;
  }

  /** Goes on to an instant and does on the way what was due. */
  moveTo(time: string | number): void {
    const end = typeof time === 'number' ? time : Date.parse(time);
    for (;;) {
      const next = this.#waiting.toSorted((left, right) => left.at - right.at)[0];
      if (next === undefined || next.at > end) break;
      this.#waiting = this.#waiting.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
  }

  /** The machine's clock is set, and nothing runs on the way. */
  jumpTo(time: string): void {
    const shift = Date.parse(time) - this.#now;
    this.#now += shift;
    this.#waiting = this.#waiting.map(({ at, run }) => ({ at: at + shift, run }));
  }
}

export function job(fields: Partial<ScheduledJob> & Pick<ScheduledJob, 'id'>): ScheduledJob {
  const cron = fields.cron ?? '0 2 * * *';
  return {
    argv: [],
    cron,
    times: cronTimes(cron),
    jitterSeconds: 0,
    catchUp: true,
    timeoutSeconds: 60,
    ...fields,
  };
}

/** A server's folders below a test folder, with these settings applied. */
export function serverWith(root: string, settings: Partial<AgentSettings>): Paths {
  const paths = pathsUnder(root);
  for (const folder of [paths.agent, paths.secrets, paths.metrics, `${paths.stack}/agent`]) {
    mkdirSync(folder, { recursive: true });
  }
  applySettings(paths, settings);
  return paths;
}

export function applySettings(paths: Paths, settings: Partial<AgentSettings>): void {
  const whole: AgentSettings = {
    version: 1,
    project: 'test',
    timezone: 'UTC',
    jobs: [],
    probes: [],
    services: [],
    heartbeats: [],
    metricsEverySeconds: 1,
    certificates: [],
    edgeAddress: '127.0.0.1',
    edgeHosts: [],
    caFile: `${paths.tls}/ca.crt`,
    accessLog: { path: `${paths.state}/access.json`, service: 'nginx', reopen: ['true'] },
    ...settings,
  };
  writeFileSync(`${paths.stack}/agent/agent.json`, JSON.stringify(whole));
}

/** Waits until a condition holds. @throws Error with `what` after 20 seconds */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within 120 s: ${what}`);
    await delay(20);
  }
}

/** Lines of a file; none when there is no file yet. */
export function linesOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch {
    return [];
  }
}

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly body: string;
}

/** A real HTTP server that notes what it is asked; `answers` gives the status by turn, 200 after them. */
export async function pingServer(answers: (number | 'hang up')[] = []) {
  const received: Received[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      received.push({ method: request.method ?? '', path: request.url ?? '', body });
      const answer = answers.shift() ?? 200;
      if (answer === 'hang up') request.socket.destroy();
      else response.writeHead(answer).end('OK');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/ping/11111111-2222`,
    received,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
