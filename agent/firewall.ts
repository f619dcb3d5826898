import type { Paths } from '../installer/model/paths.ts';
import { childProcess, fs } from './builtins.ts';
import type { Log } from './log.ts';

/** Programs that empty all tables are rare: once a minute is soon enough, milliseconds. */
const LOOK_EVERY = 60_000;

/** Puts the confirmed rules back where something else threw our table away. */
export class FirewallGuard {
  readonly #paths: Paths;
  readonly #log: Log;
  #isLoaded: boolean | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(paths: Paths, log: Log) {
    this.#paths = paths;
    this.#log = log;
  }

  /** Whether the rules are in force; undefined on a machine without rules of ours. */
  async look(now: number): Promise<boolean | undefined> {
    if (Math.abs(now - this.#lookedAt) < LOOK_EVERY) return this.#isLoaded;
    this.#lookedAt = now;
    const isConfigured = fs.existsSync(`${this.#paths.state}/firewall/confirmed.nft`);
    this.#isLoaded = isConfigured ? await this.#ensure() : undefined;
    return this.#isLoaded;
  }

  #ensure(): Promise<boolean> {
    const script = `${this.#paths.program}/scripts/firewall.sh`;
    return new Promise((resolve) => {
      childProcess.execFile(
        'sh',
        [script, 'ensure'],
        { timeout: 20_000 },
        (error, stdout, stderr) => {
          const said = `${stdout}${stderr}`.trim();
          if (said !== '') this.#log(`firewall: ${said}`);
          resolve(error === null);
        },
      );
    });
  }
}
