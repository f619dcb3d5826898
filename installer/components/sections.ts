import { z } from 'zod';
import { choice, mapping, timeZone } from '../config/fields.ts';
import { name } from '../config/fields-names.ts';
import { hostName, mail } from '../config/fields-network.ts';
import { accessoriesSection } from './accessories/section.ts';
import { agentSection } from './agent/section.ts';
import { alertingSection } from './alerting/section.ts';
import { backupsSection } from './backups/section.ts';
import { edgeCacheSection } from './edge-cache/section.ts';
import { firewallSection } from './firewall/section.ts';
import { httpSection } from './http/section.ts';
import { imagesSection } from './images/section.ts';
import { logsSection } from './logs/section.ts';
import { monitoringSection } from './monitoring/section.ts';
import { nodesSection } from './nodes/section.ts';
import { objectivesSection } from './objectives/section.ts';
import { postgresSection } from './postgres/section.ts';
import { redisSection } from './redis/section.ts';
import type { Resolved } from './rules/resolved.ts';
import { profilesSection, servicesSection } from './services/section.ts';
import { sitesSection } from './sites/section.ts';
import { storageSection } from './storage/section.ts';
import { tlsSection } from './tls/section.ts';
import { updatesSection } from './updates/section.ts';

/** Every section of config.yaml by its key, in the order of the reference page. */
export const sections = {
  version: z.literal(1, { error: '1' }).meta({ description: 'Version of the config language.' }),
  project: name({
    description: 'Name of the product; containers, networks and volumes start with it.',
    defaultText: 'the first part of `domain`',
    examples: ['acme'],
  }).optional(),
  environment: choice(['production', 'staging', 'development'], {
    description: 'What the installation is for.',
  }).prefault('production'),
  domain: hostName({
    description: 'Main host name of the product. `localhost` for a trial.',
    examples: ['app.example.com'],
  }),
  contact: mail({
    description: 'Whom the certificate authority writes to.',
    examples: ['ops@example.com'],
  }),
  timezone: timeZone({
    description: 'IANA zone of every schedule and window.',
    examples: ['Europe/Paris'],
  }).prefault('UTC'),
  size: choice(['small', 'medium', 'large'], {
    description: 'Presets for replicas, limits and objectives.',
  }).optional(),
  images: imagesSection,
  nodes: nodesSection,
  profiles: profilesSection,
  services: servicesSection,
  sites: sitesSection,
  accessories: accessoriesSection,
  tls: tlsSection,
  http: httpSection,
  edgeCache: edgeCacheSection,
  firewall: firewallSection,
  postgres: postgresSection.optional(),
  redis: redisSection.optional(),
  storage: storageSection,
  backups: backupsSection.optional(),
  objectives: objectivesSection,
  monitoring: monitoringSection,
  alerting: alertingSection,
  logs: logsSection,
  updates: updatesSection,
  agent: agentSection,
} as const;

/** The whole file. Its output has units read and simple defaults filled in. */
export const configFile = mapping(sections, {
  description: 'Configuration of a holdfast installation.',
});

/** The file as written, after the types were checked: what the cross-key rules look at. */
export type ConfigFile = z.output<typeof configFile>;

/**
 * What the rest of the program works with: profiles merged, every default filled in, references parsed.
 * Durations are whole seconds, sizes are bytes, file paths are as written (relative to the config file).
 */
export type Config = Omit<ConfigFile, 'profiles' | keyof Resolved> & Resolved;
