import { accessories } from './accessories/component.ts';
import { agent } from './agent/component.ts';
import { alerting } from './alerting/component.ts';
import { backups } from './backups/component.ts';
import type { Component } from './component.ts';
import { edgeCache } from './edge-cache/component.ts';
import { firewall } from './firewall/component.ts';
import { grafana } from './grafana/component.ts';
import { nginx } from './nginx/component.ts';
import { postgres } from './postgres/component.ts';
import { prometheus } from './prometheus/component.ts';
import { redis } from './redis/component.ts';
import { services } from './services/component.ts';
import { sites } from './sites/component.ts';
import { storage } from './storage/component.ts';
import { tls } from './tls/component.ts';
import { updates } from './updates/component.ts';

/** All components, in the order in which they contribute. */
export const components: readonly Component[] = [
  services,
  accessories,
  sites,
  postgres,
  redis,
  grafana,
  tls,
  nginx,
  edgeCache,
  prometheus,
  alerting,
  backups,
  storage,
  firewall,
  updates,
  agent,
];
