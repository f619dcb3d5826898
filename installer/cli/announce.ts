import { deployReceivers } from '../components/alerting/receivers.ts';
import type { Config } from '../components/sections.ts';
import type { Announce } from '../model/deploy-event.ts';
import type { Report } from '../model/events.ts';
import { announcer } from '../notify/announcer.ts';
import type { SecretStore } from '../secrets/store.ts';

/** Tells the receivers of the config of deploys; nothing where it names none. */
export function announceOf(
  config: Config,
  store: SecretStore,
  report: Report,
): { readonly announce?: Announce } {
  const receivers = deployReceivers(config);
  if (receivers.length === 0) return {};
  const { project, domain, environment } = config;
  const secrets = () => store.all();
  return {
    announce: announcer({ receivers, sender: { project, domain, environment }, secrets, report }),
  };
}
