import type { Component } from '../component.ts';
import { deployReceivers } from './receivers.ts';

/** Asks for the URLs of those who are told of deploys. Without one they are not told, and nothing else changes. */
export const alerting: Component = {
  id: 'alerting',
  enabled: (config) => deployReceivers(config).length > 0,
  needs: (config) => ({
    secrets: deployReceivers(config).map(({ name, secret }) => ({
      name: secret,
      optional: true,
      usedBy: `alerting.receivers.${name}`,
    })),
  }),
};
