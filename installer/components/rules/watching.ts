import { error, warning } from './finding.ts';
import { didYouMean } from './nearest.ts';
import type { Rule } from './rule.ts';
import { uniqueNames } from './unique-names.ts';

const PLATFORM_STREAMS = ['nginx', 'postgres', 'redis', 'prometheus', 'grafana', 'agent'];
const CHANNELS = ['email', 'slack', 'discord', 'webhook', 'pagerduty'] as const;

export const probesAndRulesAreNamed: Rule = function* ({ file }) {
  yield* uniqueNames(file.monitoring.probes, ['monitoring', 'probes'], 'probe');
  yield* uniqueNames(file.monitoring.rules, ['monitoring', 'rules'], 'rule');
  for (const [index, rule] of file.monitoring.rules.entries()) {
    const heard = Object.values(file.alerting.receivers).some((receiver) =>
      receiver.severities.includes(rule.severity),
    );
    if (!heard && rule.severity === 'page') {
      const message = 'page reaches nobody: no receiver in alerting.receivers takes it';
      yield warning('nobody-told', ['monitoring', 'rules', index, 'severity'], message);
    }
  }
};

export const receiversHaveChannels: Rule = function* ({ file }) {
  for (const [name, receiver] of Object.entries(file.alerting.receivers)) {
    if (!CHANNELS.some((channel) => receiver[channel] !== undefined)) {
      const message = `needs one of ${CHANNELS.join(', ')}`;
      yield { ...error('no-channel', ['alerting', 'receivers', name], message), at: 'key' };
    }
  }
};

export const streamsMatchSomething: Rule = function* ({ file, declared }) {
  yield* uniqueNames(file.logs.streams, ['logs', 'streams'], 'stream');
  const known = [
    ...declared.services,
    ...declared.accessories,
    ...declared.sites,
    ...PLATFORM_STREAMS,
  ];
  for (const [index, { match }] of file.logs.streams.entries()) {
    if (match.service === undefined || match.service === '*' || known.includes(match.service))
      continue;
    const message = `no service ${match.service}${didYouMean(match.service, known)}`;
    yield error('unknown-service', ['logs', 'streams', index, 'match', 'service'], message);
  }
};

export const storageGrowthFits: Rule = function* ({ file }) {
  const storage = file.postgres?.storage;
  if (storage?.size !== undefined && storage.max !== undefined && storage.max < storage.size) {
    yield error('storage-order', ['postgres', 'storage', 'max'], 'is less than size');
  }
};
