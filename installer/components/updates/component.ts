import type { Notice } from '../../model/contribution.ts';
import { hasMachine } from '../../model/paths.ts';
import type { Component } from '../component.ts';
import { aptScript } from './apt-script.ts';
import { ENGINE_PACKAGES } from './engine-packages.ts';
import { UNATTENDED_FILE } from './unattended.ts';

const NOT_INSTALLED: Notice = {
  code: 'updates/not-unattended',
  text: 'security fixes do not install themselves, and `holdfast doctor` tells it until they do',
};

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
          onChange: isOn ? [aptScript(paths, 'unattended-upgrades', NOT_INSTALLED)] : [],
        },
      ],
    };
  },
};
