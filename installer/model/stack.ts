/**
 * The stack: all containers of one host, engine-neutral. Each component's fragment in `compose/`
 * renders to this shape; `render/` adds what all services share and turns it into a compose file.
 * Names follow the Compose Specification where it has one.
 */
export interface StackService {
  image: string;
  entrypoint?: string[];
  command?: string[];
  user?: string;
  working_dir?: string;
  environment?: Record<string, string>;
  /** Replicas wanted; 1 when absent. Not part of the spec hash: scaling recreates nothing. */
  scale?: number;
  volumes?: StackMount[];
  tmpfs?: string[];
  /** Not part of the spec hash: networks are connected to running containers. The service's name is its DNS name. */
  networks: Record<string, null | FixedAddress>;
  /** The host's own network, with none of `networks`. */
  network_mode?: 'host';
  ports?: StackPort[];
  secrets?: StackSecretMount[];
  healthcheck: {
    /** `['CMD', …]`, `['CMD-SHELL', text]` for our own images only, or `['NONE']` where the agent probes from outside. */
    test: string[];
    interval?: string;
    timeout?: string;
    retries?: number;
    start_period?: string;
    start_interval?: string;
  };
  /** Bytes. */
  mem_limit: number;
  cpus?: number;
  pids_limit?: number;
  shm_size?: number;
  ulimits?: Record<string, number | { soft: number; hard: number }>;
  sysctls?: Record<string, string>;
  cap_add?: string[];
  read_only?: boolean;
  stop_signal?: string;
  stop_grace_period?: string;
  init?: boolean;
  pid?: 'host';
  extra_hosts?: string[];
  labels?: Record<string, string>;
  depends_on?: Record<string, { condition: 'service_started' | 'service_healthy' }>;
}

/** Of a service that names no limit of its own. */
export const DEFAULT_PIDS_LIMIT = 256;

/** Of every container. */
export const RESTART_POLICY = 'unless-stopped';

/** What the engine says of a container that `docker update` can change, besides its memory. */
export interface UpdatableSettings {
  /** Name of the restart policy. */
  readonly restart: string;
  /** 0 means no limit. */
  readonly cpus: number;
  /** Most processes; 0 means no limit. */
  readonly pids: number;
}

/** The same address in each container of a service, and so a part of the spec hash. */
export interface FixedAddress {
  ipv4_address: string;
}

export interface StackMount {
  type: 'volume' | 'bind';
  /** Volume name or absolute host path. */
  source: string;
  target: string;
  read_only?: boolean;
  bind?: { propagation?: 'rslave'; create_host_path?: boolean };
}

export interface StackPort {
  target: number;
  published: string;
  protocol: 'tcp' | 'udp';
  /** Address on the host; all addresses when absent. */
  host_ip?: string;
  mode: 'host' | 'ingress';
}

export interface StackSecretMount {
  /** Absolute host path of the mounted copy. */
  file: string;
  /** Absolute path in the container, `/run/secrets/NAME` by custom. */
  target: string;
}

export interface StackNetwork {
  /** Without a way out of the host. */
  internal: boolean;
  /** CIDR, allocated once and kept in the lock file. */
  subnet: string;
}

export interface StackVolume {
  component: string;
}

export interface Stack {
  project: string;
  services: Record<string, StackService>;
  networks: Record<string, StackNetwork>;
  volumes: Record<string, StackVolume>;
}

/** What a fragment in `compose/` may say; subnets are allocated by the renderer. */
export interface StackFragment {
  services?: Record<string, Omit<StackService, 'labels'> & { labels?: Record<string, string> }>;
  networks?: Record<string, { internal: boolean }>;
  volumes?: Record<string, null>;
}

/** Name of a network or volume of the stack on the engine. */
export function engineName(project: string, name: string): string {
  return `${project}_${name}`;
}
