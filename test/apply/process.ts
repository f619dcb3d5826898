import type { Clock } from '../../installer/apply/context.ts';
import type { ThisProcess } from '../../installer/apply/process-identity.ts';

/** A process on the server itself, as `installCoreutils` describes that server. */
export function processOn(
  server: string,
  more: Partial<ThisProcess> & { readonly living?: readonly number[] } = {},
): ThisProcess {
  const { living = [], ...rest } = more;
  return {
    who: 'root@server',
    pid: 100,
    startTicks: 5,
    machine: server,
    isAlive: async (pid) => living.includes(pid),
    ...rest,
  };
}

export const SERVER = 'boot-1/7';

/** Time passes only when somebody waits. */
export class TestClock implements Clock {
  #milliseconds = Date.UTC(2026, 0, 2, 3, 4, 5);
  #elapsed = 0;
  /** Called after each pause, with the seconds. */
  onPause: (seconds: number) => unknown = () => undefined;

  now(): Date {
    return new Date(this.#milliseconds);
  }

  elapsed(): number {
    return this.#elapsed;
  }

  /** Somebody sets the time of day. */
  set(seconds: number): void {
    this.#milliseconds += seconds * 1000;
  }

  async pause(seconds: number): Promise<void> {
    this.#elapsed += seconds * 1000;
    this.#milliseconds += seconds * 1000;
    this.onPause(seconds);
  }
}
