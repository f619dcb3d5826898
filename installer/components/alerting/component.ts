import type { Component } from '../component.ts';
import { allReceivers } from './receivers.ts';

/** Asks for the URLs of those who are told of deploys and alerts. Without one they are not told, and nothing else changes. */
export const alerting: Component = {
  id: 'alerting',
  enabled: (config) => allReceivers(config).length > 0,
  needs: (config) => ({
    secrets: allReceivers(config).map(({ name, secret }) => ({
      name: secret,
      optional: true,
      usedBy: `alerting.receivers.${name}`,
    })),
  }),
};
