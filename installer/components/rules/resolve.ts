import type { MaintenanceWindow } from '../../model/maintenance-window.ts';
import { countingLimits } from '../http/limits.ts';
import { type PostgresInput, postgresSection } from '../postgres/section.ts';
import { redisSection } from '../redis/section.ts';
import type { Config, ConfigFile } from '../sections.ts';
import type { RouteInput, ServiceInput } from '../services/section.ts';
import type { Updates } from '../updates/section.ts';
import { LOCAL_PROVIDER, resolveBackups } from './resolve-backups.ts';
import { resolveAccessory, resolveService, withProfile } from './resolve-service.ts';
import type { Service, Tls } from './resolved.ts';

/** Names that no public certificate authority signs. */
const PRIVATE_NAME = /(?:^|\.)(?:localhost|local|test|internal|invalid|example|lan|home\.arpa)$/;

const ROUTE_TO_ROOT: RouteInput = {
  path: '/',
  strip: false,
  websocket: false,
  rawBody: false,
  allowFrom: [],
};

/** The config that the program works with. Total: whatever the cross-key rules refuse still resolves to something. */
export function resolveConfig(file: ConfigFile): Config {
  const { profiles, ...rest } = file;
  const merged = mergeProfiles(file);
  const project = file.project ?? projectOf(file.domain);
  const reachable = Object.keys(merged).filter((name) => merged[name]?.port !== undefined);
  const onlyService = soleRoutable(file, merged);
  const services: Record<string, Service> = Object.fromEntries(
    Object.entries(merged).map(([name, service]) => [
      name,
      resolveService(name, service, {
        domain: file.domain,
        reachable,
        defaultRoutes: name === onlyService ? [ROUTE_TO_ROOT] : [],
      }),
    ]),
  );
  const used = new Set(
    Object.values(services).flatMap((service) => service.uses.map((use) => use.kind)),
  );
  const written = file.postgres ?? (used.has('postgres') ? postgresSection.parse({}) : undefined);
  const postgres = written && withPitr(written, file);
  const usesRedis = used.has('redis') || countingLimits(file.http).length > 0;
  const redis = file.redis ?? (usesRedis ? redisSection.parse({}) : undefined);
  return {
    ...rest,
    project,
    services,
    accessories: Object.fromEntries(
      Object.entries(file.accessories).map(([name, entry]) => [
        name,
        resolveAccessory(name, entry),
      ]),
    ),
    tls: resolveTls(file),
    updates: resolveUpdates(file),
    postgres: postgres && { ...postgres, owner: postgres.owner ?? sqlNameOf(project) },
    redis,
    storage: { ...file.storage, providers: { local: LOCAL_PROVIDER, ...file.storage.providers } },
    backups: resolveBackups(file, {
      project,
      hasPostgres: postgres !== undefined,
      pitrWindow: postgres?.pitr?.enabled === true ? postgres.pitr.window : undefined,
      services,
    }),
    monitoring: {
      ...file.monitoring,
      grafana: {
        ...file.monitoring.grafana,
        host: file.monitoring.grafana.host ?? `grafana.${file.domain}`,
        isHostWritten: file.monitoring.grafana.host !== undefined,
      },
    },
  };
}

/** Services with their profiles merged in, without defaults. */
export function mergeProfiles(file: ConfigFile): Readonly<Record<string, ServiceInput>> {
  return Object.fromEntries(
    Object.entries(file.services).map(([name, service]) => {
      const known = service.profile !== undefined && Object.hasOwn(file.profiles, service.profile);
      const profile = known ? file.profiles[service.profile ?? ''] : undefined;
      return [name, withProfile(service, profile)];
    }),
  );
}

/** The one service that gets `/` of the domain because nothing at all says what leads where. */
function soleRoutable(
  file: ConfigFile,
  merged: Readonly<Record<string, ServiceInput>>,
): string | undefined {
  const saysRoutes = Object.values(merged).some((service) => service.routes !== undefined);
  if (saysRoutes || Object.keys(file.sites).length > 0) return undefined;
  const withPort = Object.keys(merged).filter((name) => merged[name]?.port !== undefined);
  return withPort.length === 1 ? withPort[0] : undefined;
}

function resolveTls(file: ConfigFile): Tls {
  const issuer = file.tls.issuer ?? (isPrivateName(file.domain) ? 'selfsigned' : 'letsencrypt');
  const defaultHsts = { maxAge: 31_536_000, includeSubDomains: false, preload: false };
  // A browser that insists on HTTPS for a name with a private CA locks people out of it.
  const hsts = file.tls.hsts ?? (issuer === 'selfsigned' ? undefined : defaultHsts);
  return { ...file.tls, issuer, hsts };
}

/** WAL is worth taking where it leaves this machine: beside the disk that it protects from it is no protection. */
function withPitr(postgres: PostgresInput, { backups, storage }: ConfigFile): PostgresInput {
  const provider = storage.providers[backups?.provider ?? ''];
  if (postgres.pitr !== undefined || provider === undefined || provider.kind === 'directory') {
    return postgres;
  }
  return { ...postgres, pitr: postgresSection.parse({ pitr: {} }).pitr };
}

/** When nobody said otherwise: early on Sunday, two hours after the backups of the night begin. */
const MAINTENANCE: MaintenanceWindow = { day: 'Sun', from: '04:00', to: '05:00', every: 'weekly' };

/** What happens by itself happens in a window. */
function resolveUpdates({ updates }: ConfigFile): Updates {
  const needsWindow = updates.images.policy === 'auto' || updates.os.reboot;
  return needsWindow ? { ...updates, window: updates.window ?? MAINTENANCE } : updates;
}

export function isPrivateName(domain: string): boolean {
  return PRIVATE_NAME.test(domain) || !domain.includes('.');
}

/** The project of a config that names none. */
export function projectOf(domain: string): string {
  const labels = domain.split('.');
  const label = (labels[0] === 'www' ? labels[1] : labels[0]) ?? '';
  const name = label.replace(/-+/g, '-').replace(/^-|-$/g, '').slice(0, 40).replace(/-$/, '');
  return /^[a-z]/.test(name) ? name : `app-${name}`.slice(0, 40).replace(/-$/, '');
}

function sqlNameOf(project: string): string {
  return project.replaceAll('-', '_');
}
