import type Dockerode from 'dockerode';

/** The newest API that this code was written against. */
const NEWEST = '1.47';

/**
 * The API version to speak: the newest that both sides know, or the engine's oldest when it has left ours behind.
 * Engines 20.10 to 29 speak 1.41 to 1.52.
 */
export function commonVersion(engine: {
  readonly newest: string;
  readonly oldest: string;
}): string {
  const best = compare(engine.newest, NEWEST) < 0 ? engine.newest : NEWEST;
  return compare(best, engine.oldest) < 0 ? engine.oldest : best;
}

/** Asks the engine, and makes the client speak that version from here on. */
export async function negotiate(docker: Dockerode): Promise<void> {
  const modem = docker.modem as { version?: string | undefined };
  modem.version = undefined;
  const version: { ApiVersion: string; MinAPIVersion?: string } = await docker.version();
  const { ApiVersion, MinAPIVersion = ApiVersion } = version;
  modem.version = `v${commonVersion({ newest: ApiVersion, oldest: MinAPIVersion })}`;
}

function compare(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number);
  const [majorB = 0, minorB = 0] = b.split('.').map(Number);
  return majorA - majorB || minorA - minorB;
}
