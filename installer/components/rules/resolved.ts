import type { TlsInput } from '../../components/tls/section.ts';
import type { SecretWish } from '../../config/fields-names.ts';
import type { AccessoryInput } from '../accessories/section.ts';
import type { BackupJobInput, BackupsInput } from '../backups/section.ts';
import type { MonitoringInput } from '../monitoring/section.ts';
import type { PostgresInput } from '../postgres/section.ts';
import type { Redis } from '../redis/section.ts';
import type { BuildSpec, VolumeSpec } from '../services/container-section.ts';
import type { RouteInput, ServiceInput } from '../services/section.ts';
import type { Provider, Storage } from '../storage/section.ts';

/** The parts of a config after resolution. Durations are whole seconds, sizes are bytes. */

export interface ScalingStep {
  /** Percent of the container's CPU limit, of one core if it has none. */
  readonly cpu: number;
  /** Seconds. */
  readonly for: number;
  readonly step: number;
}

export interface Replicas {
  readonly min: number;
  /** Equal to `min` when the number is fixed. */
  readonly max: number;
  readonly scaleUp: ScalingStep;
  readonly scaleDown: ScalingStep;
  /** Seconds. */
  readonly cooldown: number;
}

export interface Resources {
  /** Cores; undefined means no limit. */
  readonly cpus: number | undefined;
  /** Bytes. */
  readonly memory: number;
}

/** Without `path` and `command`, an open port (or a running process, without a port) is enough. */
export interface Health {
  readonly path: string | undefined;
  readonly command: readonly string[] | undefined;
  readonly deepPath: string | undefined;
  readonly expect: string | undefined;
  /** Seconds. */
  readonly interval: number;
  /** Seconds. */
  readonly timeout: number;
  readonly healthy: number;
  readonly unhealthy: number;
}

export type Use =
  | { readonly kind: 'postgres' }
  | { readonly kind: 'redis' }
  | { readonly kind: 'accessory'; readonly name: string }
  | { readonly kind: 'bucket'; readonly name: string };

export type Route = Omit<RouteInput, 'host'> & { readonly host: string };

export interface Metrics {
  readonly path: string;
  readonly port: number;
}

export interface Service {
  readonly name: string;
  /** Exactly one of `image` and `build` is set. */
  readonly image: string | undefined;
  readonly build: BuildSpec | undefined;
  /** Undefined for a worker that nothing connects to. */
  readonly port: number | undefined;
  /** Replaces the image's entry point. */
  readonly command: readonly string[] | undefined;
  /** Replaces the image's arguments. */
  readonly args: readonly string[] | undefined;
  readonly replicas: Replicas;
  readonly resources: Resources;
  readonly health: Health;
  readonly metrics: Metrics | undefined;
  readonly migrate: readonly string[] | undefined;
  readonly seed: ServiceInput['seed'];
  /** Names of services; `"*"` in the file has become all others. */
  readonly peers: readonly string[];
  readonly routes: readonly Route[];
  readonly volumes: readonly VolumeSpec[];
  readonly env: Readonly<Record<string, string>>;
  readonly secrets: readonly SecretWish[];
  readonly uses: readonly Use[];
  /** Of Postgres; undefined where the config does not say. */
  readonly database: string | undefined;
  /** Database connections per replica at most. */
  readonly dbPool: number;
  readonly scan: ServiceInput['scan'];
}

export type Accessory = Omit<AccessoryInput, 'resources' | 'health' | 'metrics'> & {
  readonly name: string;
  readonly resources: Resources;
  readonly health: Health;
  readonly metrics: Metrics | undefined;
};

export type Postgres = Omit<PostgresInput, 'owner'> & { readonly owner: string };

export type Tls = Omit<TlsInput, 'issuer' | 'hsts'> & {
  readonly issuer: NonNullable<TlsInput['issuer']>;
  /** Undefined: no header. */
  readonly hsts: TlsInput['hsts'];
};

/** What a job saves. */
export type BackupSource =
  | { readonly kind: 'postgres' }
  | { readonly kind: 'redis' }
  | { readonly kind: 'appliance' }
  | { readonly kind: 'volume'; readonly name: string }
  | { readonly kind: 'accessory'; readonly name: string }
  | { readonly kind: 'backup'; readonly name: string };

export type BackupJob = Omit<BackupJobInput, 'source' | 'method' | 'provider'> & {
  readonly source: BackupSource;
  readonly method: NonNullable<BackupJobInput['method']>;
  /** A key of `storage.providers`. */
  readonly provider: string;
};

export type Backups = Omit<BackupsInput, 'jobs' | 'prefix'> & {
  readonly prefix: string;
  readonly jobs: readonly BackupJob[];
  /** True when the file has no `backups` section. */
  readonly isDefault: boolean;
};

export type Monitoring = Omit<MonitoringInput, 'grafana'> & {
  readonly grafana: Omit<MonitoringInput['grafana'], 'host'> & {
    readonly host: string;
    /** Rather than taken from the domain. */
    readonly isHostWritten: boolean;
  };
};

export interface Resolved {
  readonly project: string;
  readonly services: Readonly<Record<string, Service>>;
  readonly accessories: Readonly<Record<string, Accessory>>;
  readonly tls: Tls;
  /** Undefined: no Postgres. Present also when only a service's `uses` asks for it. */
  readonly postgres: Postgres | undefined;
  /** Undefined: no Redis. Present also when only a service's `uses` or a limit of requests asks for it. */
  readonly redis: Redis | undefined;
  /** Always has the provider `local`. */
  readonly storage: Omit<Storage, 'providers'> & {
    readonly providers: Readonly<Record<string, Provider>>;
  };
  readonly backups: Backups;
  readonly monitoring: Monitoring;
}
