import type { Contribution } from '../model/contribution.ts';
import type { HostFacts } from '../model/facts.ts';
import type { HostNeed } from '../model/host-need.ts';
import type { ResolvedImages } from '../model/images.ts';
import type { LockFile } from '../model/lock-file.ts';
import type { Paths } from '../model/paths.ts';
import type { Secret } from '../model/secret.ts';
import type { SiteRelease } from '../model/site.ts';
import type { Config } from './sections.ts';

/** What a component may look at. All of it is plain data: a component touches no file, clock or network. */
export interface ComponentInput {
  readonly config: Config;
  readonly facts: HostFacts;
  readonly images: ResolvedImages;
  readonly paths: Paths;
  /** Replicas by service that were decided on this server; the config's least where absent. */
  readonly scales?: LockFile['scales'];
  /** Volume of Postgres since a restore to a point in time; the first one when absent. */
  readonly postgresVolume?: string;
  /** Networks of Cloudflare's proxies where this server knows newer ones than the program. */
  readonly cloudflare?: LockFile['cloudflare'];
  /** Stored and newly generated values; a missing one stopped the run before this. */
  readonly secret: (name: string) => Secret;
  /** CIDR of the network between nginx and what takes connections over IPv6, where this server has another than the usual. */
  readonly relaySubnet?: string;
  /** The stored value of a secret that may be missing. */
  readonly optionalSecret: (name: string) => Secret | undefined;
  /** By service and variable: what the containers have, for a run that gives none of them another value. */
  readonly secretsInForce?: Contribution['secretEnvironment'];
  /** PEM texts by host name: private CA or given files. */
  readonly certificates: ReadonlyMap<
    string,
    { readonly certificate: string; readonly key: Secret }
  >;
  /** PEM of `tls.caFile`; absent where the config names none. */
  readonly acmeAuthority?: string | undefined;
  /** By name of the site. */
  readonly siteReleases: ReadonlyMap<string, SiteRelease>;
}

/** The sum of all first-round contributions, for the components that collect them. */
export type Collected = Required<Contribution>;

/** Needs that are known from the config alone, before images, secrets and certificates are resolved. */
export type Needs = Pick<Contribution, 'images' | 'secrets'> & {
  readonly hosts?: readonly HostNeed[];
};

/**
 * A platform part. A new one is a folder here, a fragment in `compose/`, a folder in `templates/`,
 * a test, and a line in `registry.ts`.
 */
export interface Component {
  readonly id: string;
  readonly enabled: (config: Config) => boolean;
  readonly needs?: (config: Config) => Needs;
  readonly contribute?: (input: ComponentInput) => Contribution;
  /** Second round, for nginx, prometheus, grafana, postgres and the agent: sees what all others contributed. */
  readonly collect?: (input: ComponentInput, collected: Collected) => Contribution;
}
