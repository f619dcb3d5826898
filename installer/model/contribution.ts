import type { AgentJob } from './agent-settings.ts';
import type { BackupSource } from './backup-settings.ts';
import type { ImageNeed } from './images.ts';
import type { Secret } from './secret.ts';
import type { SecretNeed } from './secret-need.ts';
import type { DesiredSite, SiteHost } from './site.ts';
import type { StandIn } from './stand-in.ts';

/** Everything that a component adds to the platform. All lists are optional: absent means none. */
export interface Contribution {
  readonly fragments?: readonly Fragment[];
  readonly files?: readonly FileSpec[];
  /** Folders on the host that must exist before a container mounts them; absolute paths. */
  readonly directories?: readonly DirectorySpec[];
  readonly secrets?: readonly SecretNeed[];
  /** Secret values that a service reads from its environment; they go to `compose.secrets.yaml` only. */
  readonly secretEnvironment?: Readonly<Record<string, Readonly<Record<string, Secret>>>>;
  /** Health that is checked from nginx's side of the network, since the image may hold no client. */
  readonly httpChecks?: readonly HttpCheck[];
  /** The same for services that name no path and no command. */
  readonly portChecks?: readonly PortCheck[];
  /** One-off commands with the new image before its service is replaced. */
  readonly migrations?: readonly Migration[];
  /** SQL files that run once; apply reads them, since a component touches no file. */
  readonly seeds?: readonly Seed[];
  readonly images?: readonly ImageNeed[];
  /** How a running service takes a changed file. By stack service name. */
  readonly reloads?: Readonly<Record<string, Reload>>;
  readonly validators?: readonly Validator[];
  /** Steps that bring a server's inside to what the config says, such as roles in Postgres. */
  readonly provisions?: readonly Provision[];
  readonly databases?: readonly DatabaseClient[];
  readonly redisClients?: readonly RedisClient[];
  readonly routes?: readonly Route[];
  readonly sites?: readonly DesiredSite[];
  readonly siteHosts?: readonly SiteHost[];
  /** Services of the product: a new release starts beside the old one. */
  readonly rolled?: readonly RolledService[];
  readonly standIns?: readonly StandIn[];
  readonly scrapes?: readonly ScrapeTarget[];
  readonly alerts?: readonly AlertRule[];
  readonly dashboards?: readonly Dashboard[];
  readonly backups?: readonly BackupSource[];
  /** Stateful volumes that no backup source covers, and why that is right. */
  readonly unbackedVolumes?: readonly { readonly volume: string; readonly reason: string }[];
  readonly probes?: readonly Probe[];
  readonly jobs?: readonly AgentJob[];
  readonly notices?: readonly Notice[];
}

/** A compose fragment: `compose/<template>` rendered with `data`. */
export interface Fragment {
  readonly component: string;
  /** Relative to `compose/`, such as `postgres.yaml.ejs`. */
  readonly template: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A file on the host, relative to `paths.stack` unless it starts with `/`. */
export interface FileSpec {
  readonly path: string;
  readonly component: string;
  readonly content:
    | {
        readonly template: string;
        readonly data: Readonly<Record<string, unknown>>;
        readonly format: TemplateFormat;
      }
    | { readonly text: string };
  /** 0o644 when absent; 0o600 when secret. */
  readonly mode?: number;
  /** Owner; root when absent. */
  readonly uid?: number;
  readonly gid?: number;
  /** Never shown in a plan, a log or an error. */
  readonly secret?: boolean;
  /** What happens after the file changed, in this order. */
  readonly onChange?: readonly Reaction[];
}

export interface DirectorySpec {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** How `<%= %>` writes a value so that it stays one inert value in the target language. */
export type TemplateFormat =
  | 'yaml'
  | 'nginx'
  | 'ini'
  | 'prometheus'
  | 'redis'
  | 'systemd'
  | 'json'
  | 'sql'
  | 'plain';

export type Reaction =
  | { readonly kind: 'reload'; readonly service: string }
  | { readonly kind: 'restart'; readonly service: string }
  | { readonly kind: 'provision'; readonly id: string }
  /** argv on the host, such as `systemctl daemon-reload`. */
  | {
      readonly kind: 'host';
      readonly id: string;
      readonly argv: readonly [string, ...string[]];
      readonly impact: 'none' | 'restart';
      /** Run afterwards over a new connection: that one can be made proves that nobody was locked out. */
      readonly confirm?: readonly [string, ...string[]];
      /** As with `Command`. */
      readonly timeoutSeconds?: number;
      /** Told where it fails, which is no reason to leave the rest of an apply undone. Without it the apply ends. */
      readonly failure?: Notice;
    };

/** Runs inside each container of the service; `test` first, where given. */
export interface Reload {
  readonly test?: readonly [string, ...string[]];
  readonly argv: readonly [string, ...string[]];
}

/** A real program that checks staged files before they replace the live ones. */
export type Validator = ContainerValidator | HostValidator;

interface ValidatorBase {
  readonly id: string;
  /** Folder of `paths.stack` that is checked; runs only when one of its files changes. */
  readonly folder: string;
}

/** Checks with a program of the host, which gets the path of the staged file as its last argument. */
export interface HostValidator extends ValidatorBase {
  readonly program: readonly [string, ...string[]];
  readonly file: string;
}

export interface ContainerValidator extends ValidatorBase {
  readonly image: 'nginx' | 'nginx-waf' | 'prometheus';
  readonly argv: readonly [string, ...string[]];
  /** Where the staged folder appears in the container. */
  readonly target: string;
  /** Further staged or live folders, absolute host paths, read only. */
  readonly mounts?: readonly { readonly source: string; readonly target: string }[];
}

/** Runs in a container of `service` after it is healthy, when `digest` is not what ran last. Must be idempotent. */
export interface Provision {
  readonly id: string;
  readonly service: string;
  /** The service whose start it follows; `service` itself when absent. */
  readonly after?: string;
  readonly argv: readonly [string, ...string[]];
  /** May hold secrets; goes to standard input only. */
  readonly stdin: string;
  readonly user?: string;
  /** Names the desired inside, without secrets, such as a sha256 of roles and databases. */
  readonly digest: string;
  /** One line for the plan. */
  readonly summary: string;
}

/** A replica is healthy when `path` answers with a status from 200 to 399 and, where given, its body holds `expect`. */
export interface HttpCheck extends PortCheck {
  readonly path: string;
  readonly expect?: string;
}

/** A replica is healthy when its port takes a connection. */
export interface PortCheck {
  readonly service: string;
  readonly port: number;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
  /** Successes in a row that make it healthy. */
  readonly healthy: number;
  /** Failures in a row that make it unhealthy. */
  readonly unhealthy: number;
}

export interface Migration {
  readonly service: string;
  readonly argv: readonly [string, ...string[]];
}

/** First data of a database: run once as its owner, which the database itself remembers. */
export interface Seed {
  readonly service: string;
  /** As written in the config: relative to the config file. */
  readonly file: string;
  readonly database: string;
  readonly role: string;
}

/** A service that asks for a Postgres database. */
export interface DatabaseClient {
  readonly service: string;
  readonly database: string;
  readonly role: string;
  /** Name of the secret with the role's password. */
  readonly passwordSecret: string;
  /** Connections that one replica may open. */
  readonly pool: number;
  readonly maxReplicas: number;
}

export interface RedisClient {
  readonly service: string;
  readonly user: string;
  readonly passwordSecret: string;
  /** Where it meets Redis; the data network of the service when absent. */
  readonly network?: string;
  /** Its rule of Redis' access list; what services may do when absent. */
  readonly rights?: string;
}

/** A service with two sets of containers, of which one serves. See docs/decisions/releases.md. */
export interface RolledService {
  readonly service: string;
  /** Where nginx sends its requests; absent when nothing is routed to it. */
  readonly port?: number;
  /** Networks on which its name leads to releases that have become healthy only. */
  readonly peerNetworks: readonly string[];
  /** Seconds for which a release that has just taken over is watched. */
  readonly watchSeconds: number;
}

/** A path of a host that nginx hands to a service. */
export interface Route {
  readonly host: string;
  /** Prefix with a leading and, but for `/`, a trailing slash. */
  readonly path: string;
  readonly service: string;
  readonly port: number;
  readonly strip: boolean;
  readonly websocket: boolean;
  /** Unbuffered both ways. */
  readonly rawBody: boolean;
  /** Bytes; the edge's default when absent. */
  readonly maxBody?: number;
  readonly sticky?: 'ip' | 'cookie';
  readonly allowFrom: readonly string[];
  readonly asksPassword?: boolean;
}

export interface ScrapeTarget {
  readonly job: string;
  /** DNS name and port on the monitor network or the service's data network. */
  readonly service: string;
  readonly port: number;
  readonly path: string;
  /** Several replicas: ask DNS for all addresses. */
  readonly replicated: boolean;
}

export interface AlertRule {
  readonly name: string;
  readonly component: string;
  readonly expression: string;
  /** Prometheus duration. */
  readonly for: string;
  readonly severity: 'info' | 'warn' | 'page';
  readonly summary: string;
  /** File below `docs/runbooks/` without its ending. */
  readonly runbook: string;
}

export interface Dashboard {
  readonly id: string;
  /** Relative to `templates/`. */
  readonly template: string;
}

/** A request that the agent makes through nginx at an interval. */
export interface Probe {
  readonly name: string;
  readonly url: string;
  readonly everySeconds: number;
  readonly timeoutSeconds: number;
  /** Text that must stand in the body. */
  readonly expectBody?: string;
  readonly certExpiryDays?: number;
}

/** A line of the plan that needs no action. */
export interface Notice {
  readonly code: string;
  readonly text: string;
}
