import { env } from '../installer/env.ts';
import { EXIT_CODES } from '../installer/errors.ts';
import { type Paths, pathsUnder } from '../installer/model/paths.ts';
import { Agent, useProcessTimezone } from './agent.ts';
import { fs } from './builtins.ts';
import { systemClock } from './clock.ts';
import { takeInstanceLock } from './control/instance-lock.ts';
import { giveBackMemory } from './give-back-memory.ts';
import { log, reasonOf } from './log.ts';

/** The program that runs jobs belongs to the same release as this file. */
const CLI = new URL(
  import.meta.url.endsWith('.ts') ? '../installer/cli/main.ts' : '../installer/cli/main.js',
  import.meta.url,
).pathname;

const SECOND = 1_000;
const ENGINE_SOCKET = '/var/run/docker.sock';
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

async function main(): Promise<void> {
  const paths = pathsUnder(env.root);
  fs.mkdirSync(paths.agent, { recursive: true, mode: 0o700 });
  const other = takeInstanceLock(`${paths.agent}/agent.lock`);
  if (other !== undefined) {
    log(`an agent runs already (process ${other.holder}); this one ends`);
    process.exitCode = EXIT_CODES.agent;
    return;
  }
  const agent = new Agent({
    paths,
    clock: systemClock,
    log,
    program: [process.execPath, CLI],
    environment: {
      PATH,
      HOME: '/root',
      // Who holds the lock, for whoever meets it, and for the audit log.
      LOGNAME: 'the agent',
      LANG: 'C.UTF-8',
      // The home folder is read only for the service: logins to registries are there, buildx's state is here.
      BUILDX_CONFIG: `${paths.agent}/buildx`,
      ...(env.root === '' ? {} : { HOLDFAST_ROOT: env.root }),
    },
    engineSocket: ENGINE_SOCKET,
    kernel: '/proc',
    useTimezone: useProcessTimezone,
  });
  process.on('SIGHUP', () => agent.reload());
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log(`agent ${process.pid} ends by ${signal}`);
      agent.stop();
      process.exit(0);
    });
  }
  await agent.start();
  endWhenReplaced(agent, paths);
  giveBackMemory(systemClock);
}

/**
 * A new release was put in place: end when no job runs, and the service starts the new agent. Nor is there
 * anything to do where the server's folders were taken away.
 */
function endWhenReplaced(agent: Agent, { program, agent: folder }: Paths): void {
  const started = target(program);
  const look = (): void => {
    if (!fs.existsSync(folder)) {
      log('this server was removed: the agent ends');
      process.exit(0);
    }
    const now = target(program);
    if (now !== undefined && now !== started && agent.isIdle()) {
      log('a new release is in place: the agent starts anew');
      agent.stop();
      process.exit(0);
    }
    systemClock.after(30 * SECOND, look);
  };
  systemClock.after(30 * SECOND, look);
}

function target(link: string): string | undefined {
  try {
    return fs.realpathSync(link);
  } catch {
    // In the moment of the swap, or in a tree that is no installation.
    return undefined;
  }
}

try {
  await main();
} catch (error) {
  log(`the agent cannot run: ${reasonOf(error)}`);
  process.exit(EXIT_CODES.agent);
}
