import { databaseNamesAreFree, postgresSettingsAreSafe } from '../postgres/rules.ts';
import { mountsFit, volumesAreTheirOwn } from '../services/rules.ts';
import { backupTargetsFit, jobsSaveSomething } from './backups.ts';
import { connectionsSuffice } from './budgets.ts';
import { policyFits, policyIsStrict } from './content-policy.ts';
import { challengeArrives, jailsAreKnown, portsAreSane } from './firewall.ts';
import { countersLast, edgeFiltersFit, limitsAreClear } from './http.ts';
import { imagesArePinned } from './images.ts';
import { nodesFit } from './nodes.ts';
import { peersFit } from './peers.ts';
import { secretsAreTheProducts } from './platform-secrets.ts';
import { domainAnswers, downloadsAreOpen, routesAreUnique, routesLeadSomewhere } from './routes.ts';
import type { Rule } from './rule.ts';
import {
  accessoriesAreComplete,
  namesAreFree,
  poolsAreUsed,
  referencesExist,
  replicasAreOrdered,
  scalingHasRoom,
  servicesAreComplete,
  variablesAreTold,
} from './services.ts';
import { sitesAreComplete } from './sites.ts';
import { bucketsFit, providersAreComplete } from './storage.ts';
import { hstsIsMeant, issuerIsComplete, tlsKeysAreRead } from './tls.ts';
import {
  probesAndRulesAreNamed,
  receiversHaveChannels,
  storageGrowthFits,
  streamsMatchSomething,
} from './watching.ts';
import { jobsKeepToWindows, windowsAreOpen } from './windows.ts';

/** Every rule that spans keys and needs nothing but the config. */
export const rules: readonly Rule[] = [
  domainAnswers,
  namesAreFree,
  variablesAreTold,
  servicesAreComplete,
  accessoriesAreComplete,
  imagesArePinned,
  replicasAreOrdered,
  scalingHasRoom,
  referencesExist,
  peersFit,
  secretsAreTheProducts,
  poolsAreUsed,
  routesAreUnique,
  downloadsAreOpen,
  routesLeadSomewhere,
  sitesAreComplete,
  issuerIsComplete,
  tlsKeysAreRead,
  hstsIsMeant,
  limitsAreClear,
  countersLast,
  policyIsStrict,
  policyFits,
  edgeFiltersFit,
  portsAreSane,
  jailsAreKnown,
  challengeArrives,
  connectionsSuffice,
  databaseNamesAreFree,
  postgresSettingsAreSafe,
  volumesAreTheirOwn,
  mountsFit,
  storageGrowthFits,
  providersAreComplete,
  bucketsFit,
  backupTargetsFit,
  jobsSaveSomething,
  windowsAreOpen,
  jobsKeepToWindows,
  probesAndRulesAreNamed,
  receiversHaveChannels,
  streamsMatchSomething,
  nodesFit,
];
