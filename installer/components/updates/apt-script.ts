import { posix } from 'node:path';
import type { Notice, Reaction } from '../../model/contribution.ts';
import type { Paths } from '../../model/paths.ts';

/**
 * How long a script may run that reads package lists and then installs. Each of the two may wait for another apt as long as
 * `images/lib/apt.sh` says, and then has work of its own: a dpkg that is ended in its midst leaves every later apt to a person.
 */
const APT_SCRIPT_SECONDS = 2 * 600 + 1800;

/**
 * Runs a script that installs from Debian's packages. An apt that does not work is told, and ends no apply.
 * @param name of the script below `scripts/`, without `.sh`
 */
export function aptScript(
  { program }: Pick<Paths, 'program'>,
  name: string,
  failure: Notice,
): Reaction {
  return {
    kind: 'host',
    id: name,
    argv: ['sh', posix.join(program, `scripts/${name}.sh`)],
    impact: 'none',
    timeoutSeconds: APT_SCRIPT_SECONDS,
    failure,
  };
}
