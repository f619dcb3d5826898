/** What the parts that talk to Redis have to agree on. */

/** Stack service, and its DNS name on every network that it is on. */
export const REDIS_SERVICE = 'redis';
export const REDIS_PORT = 6379;
export const REDIS_VOLUME = 'redis-data';
/** uid and gid of `redis` in the official images and in ours. */
export const REDIS_UID = 999;

/** May do everything; used by holdfast inside the container only. */
export const ADMIN_USER = 'holdfast_admin';
export const ADMIN_SECRET = 'REDIS_ADMIN_PASSWORD';

/** Of the exporter: sees figures, no keys. */
export const MONITOR_USER = 'holdfast_monitor';
export const MONITOR_SECRET = 'REDIS_MONITOR_PASSWORD';

/** Of the health check: may say PING and nothing else, so it needs no password. */
export const HEALTH_USER = 'holdfast_health';

/** Of the edge: sees its counters of requests and nothing else. */
export const LIMITS_USER = 'holdfast_limits';
export const LIMITS_SECRET = 'REDIS_LIMITS_PASSWORD';

/** The ACL user of a service. Names of services hold no underscore, so none is taken twice. */
export function redisUser(service: string): string {
  return service === 'default' ? 'service_default' : service;
}

/** Name of the secret with the password of a service's user. */
export function redisUserSecret(service: string): string {
  return `REDIS_USER_${service.toUpperCase().replaceAll('-', '_')}_PASSWORD`;
}
