import { posix } from 'node:path';
import type { Reaction } from '../../model/contribution.ts';
import { hasMachine, type Paths } from '../../model/paths.ts';
import type { Component } from '../component.ts';
import { APT_SCRIPT_SECONDS } from './apt-script.ts';
import { ENGINE_PACKAGES } from './engine-packages.ts';
import { UNATTENDED_FILE } from './unattended.ts';

/** Debian's own unattended-upgrades keeps the machine below the containers up to date. */
export const updates: Component = {
  id: 'updates',
  enabled: () => true,

  // Also where the config says no: what the package or its installer has switched on would go on, and restart the engine.
  contribute: ({ config, paths }) => {
    if (!hasMachine(paths)) return {};
    const isOn = config.updates.os.unattended;
    return {
      files: [
        {
          path: UNATTENDED_FILE,
          component: 'updates',
          content: {
            template: 'templates/apt/unattended.conf.ejs',
            data: { isOn, engine: ENGINE_PACKAGES.map((name) => name.replaceAll('.', '[.]')) },
            format: 'plain',
          },
          onChange: isOn ? [installing(paths)] : [],
        },
      ],
    };
  },
};

function installing(paths: Paths): Reaction {
  return {
    kind: 'host',
    id: 'unattended-upgrades',
    argv: ['sh', posix.join(paths.program, 'scripts/unattended-upgrades.sh')],
    impact: 'none',
    timeoutSeconds: APT_SCRIPT_SECONDS,
    failure: {
      code: 'updates/not-unattended',
      text: 'security fixes do not install themselves, and `holdfast doctor` tells it until they do',
    },
  };
}
