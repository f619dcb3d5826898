import { Agent, useProcessTimezone } from '../../agent/agent.ts';
import { systemClock } from '../../agent/clock.ts';
import { takeInstanceLock } from '../../agent/control/instance-lock.ts';
import { log } from '../../agent/log.ts';
import { pathsUnder } from '../../installer/model/paths.ts';

/** `agent/main.ts` with another program for its jobs and a folder as its server. */
const folder = process.argv[2] ?? '';
const paths = pathsUnder(folder);
const other = takeInstanceLock(`${paths.agent}/agent.lock`);
if (other !== undefined) {
  log(`an agent runs already (process ${other.holder})`);
  process.exit(16);
}
const agent = new Agent({
  paths,
  clock: systemClock,
  log,
  program: ['/bin/sh', `${folder}/program.sh`],
  environment: { PATH: '/usr/bin:/bin', FOLDER: folder },
  engineSocket: process.argv[3] ?? `${folder}/engine.sock`,
  kernel: process.argv[4] ?? '/proc',
  useTimezone: useProcessTimezone,
});
process.on('SIGHUP', () => agent.reload());
process.on('SIGTERM', () => {
  agent.stop();
  process.exit(0);
});
await agent.start();
