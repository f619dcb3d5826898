import t from 'tap';
import type { Command } from '../../installer/host/host.ts';
import type { Reaction } from '../../installer/model/contribution.ts';
import type { Desired } from '../../installer/model/desired.ts';
import type { Observed } from '../../installer/plan/observed.ts';
import { type PlatformOptions, platform } from './platform.ts';
import { World } from './world.ts';

const PROGRAM = 'systemctl';
type HostReaction = Extract<Reaction, { kind: 'host' }>;

/** The platform, whose commands on the host say more of themselves. */
function withCommand(
  more: Partial<HostReaction>,
  options: PlatformOptions = {},
): (observed: Observed) => Desired {
  return (observed) => {
    const desired = platform(options)(observed);
    const files = [...desired.files].map(([path, file]) => {
      const onChange = file.onChange.map((reaction) =>
        reaction.kind === 'host' ? { ...reaction, ...more } : reaction,
      );
      return [path, { ...file, onChange }] as const;
    });
    return { ...desired, files: new Map(files) };
  };
}

t.test('a command on the host may run as long as it says', async (t) => {
  const world = new World();
  const seen: Command[] = [];
  const run = world.host.run.bind(world.host);
  world.host.run = (command) => {
    if (command.argv[0] === PROGRAM) seen.push(command);
    return run(command);
  };
  await world.apply(withCommand({ timeoutSeconds: 1234 }));
  t.match(seen, [{ timeoutSeconds: 1234 }]);
});
