import { type ApplyContext, SYSTEM_CLOCK } from '../apply/context.ts';
import { components } from '../components/registry.ts';
import { keptScales } from '../components/services/scales.ts';
import { acmeSettings } from '../components/tls/settings.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { LocalHost } from '../host/local.ts';
import { bakeImages, pullImage } from '../images/build.ts';
import { resolveImages } from '../images/resolve.ts';
import type { Pin } from '../images/services.ts';
import type { Notice } from '../model/contribution.ts';
import type { Desired } from '../model/desired.ts';
import type { Secret } from '../model/secret.ts';
import type { Observed } from '../plan/observed.ts';
import { render } from '../render/render.ts';
import { subnetsInUse } from '../render/subnets.ts';
import { fillRelease } from '../rollout/site-release.ts';
import { generateMissing } from '../secrets/missing.ts';
import { SecretStore } from '../secrets/store.ts';
import { type Certificates, prepareCertificates } from '../tls/certificates.ts';
import { announceOf } from './announce.ts';
import { withKeptFiles } from './applied-config.ts';
import { loadAssets } from './assets.ts';
import { baseRateNotices } from './base-rate-notice.ts';
import { buildService } from './build-service.ts';
import { builtOnNode, readAcmeAuthority, readSeeds, serviceImages } from './config-inputs.ts';
import type { CliContext, Server } from './context.ts';
import { maintenanceState, maintenanceText } from './maintenance-state.ts';
import { allNeeds } from './needs.ts';
import { configNotices, fitToCores, memoryNotices, pinNotices, requireCores } from './notices.ts';
import { databaseNotices } from './other-database.ts';
import { refuseOtherProject } from './other-project.ts';
import { clusterMaker } from './postgres-clusters.ts';
import type { LoadedConfig } from './read-config.ts';
import { servingImages } from './releases.ts';
import { secretsInForce } from './secrets-in-force.ts';
import { servedReleases, siteReleases } from './site-releases.ts';
import { snapshot } from './snapshot.ts';
import { majorAway, wantedUpgrade } from './wanted-upgrade.ts';

export interface Prepared {
  readonly apply: ApplyContext;
  /** Everything that the config asks for, given what stands on the server. */
  readonly render: (observed: Observed) => Promise<Desired>;
  /** Keeps the certificates that the last rendering made; for after the yes, before the first operation. */
  readonly keepRendered: () => Promise<void>;
}

export interface PrepareOptions {
  readonly loaded: LoadedConfig;
  /** What this is to `postgres.snapshotBefore`. An update takes sources of builds and sites as they are in force. */
  readonly event?: 'apply' | 'update';
  /** Decide versions and digests anew, as `update` does. */
  readonly refreshImages?: boolean;
  /**
   * One service is to change: builds, sites, given certificates, seeds and the services' secrets stay what they are in force,
   * whatever has happened to their sources since. They neither come along nor stand in the way.
   */
  readonly isOneService?: boolean;
  /** The value of `--host`. */
  readonly target?: string | undefined;
  /** Another number of replicas for these services, from now on. */
  readonly scales?: Readonly<Record<string, number>>;
  /** Another volume for Postgres, from now on: what a restore to a point in time has made. */
  readonly postgresVolume?: string;
  /** Whether it may bring the data of Postgres to another major version. */
  readonly upgradesPostgres?: boolean;
  /** Networks of Cloudflare's proxies from now on. */
  readonly cloudflare?: readonly string[];
  /** Images that take the place of what the config says, by service. */
  readonly pins?: (observed: Observed) => Readonly<Record<string, Pin>>;
}

/** From a config and a server to what `planServer` and `apply` take. Changes nothing. */
export async function prepare(
  context: CliContext,
  server: Server,
  options: PrepareOptions,
): Promise<Prepared> {
  const { loaded } = options;
  const { host, engine } = server;
  const { paths, packageRoot, report } = context;
  const { config } = loaded;
  const store = new SecretStore(host, paths);
  await refuseOtherProject(host, paths, config.project);
  const databases = await databaseNotices(host, paths, loaded);
  await requireProgram(server, context);
  const programPath = host.name === 'localhost' ? packageRoot : paths.program;
  const backUp = (): Promise<readonly string[]> => snapshot(context, server);
  const onLine = (id: string) => (line: string) => report({ kind: 'progress', id, text: line });
  const apply: ApplyContext = {
    host,
    engine,
    paths,
    project: config.project,
    secrets: store,
    report,
    clock: SYSTEM_CLOCK,
    ...(options.target === undefined
      ? {}
      : { reconnect: async () => (await context.open(options.target)).host }),
    ...(isBackedUpBefore(config, 'migrate') ? { snapshotBeforeMigration: backUp } : {}),
    ...(isBackedUpBefore(config, options.event) ? { backUp } : {}),
    clusters: clusterMaker(context, server, config.project),
    ...announceOf(config, store, report),
    images: {
      bake: (_targets, references, onBase) =>
        bakeImages(host, programPath, references, onLine('bake-images'), onBase),
      pull: (reference) => pullImage(host, reference, onLine(`pull-image:${reference}`)),
      build: (reference, action, service) =>
        buildService(context, server, {
          sources: sourceHost(server, loaded),
          request: { project: config.project, service, reference, action },
          onLine: onLine(`build-image:${reference}`),
        }),
    },
    releases: {
      fill: (site, folder) =>
        fillRelease(
          {
            here: sourceHost(server, loaded),
            host,
            paths,
            onLine: onLine(`make-release:${site.name}`),
          },
          site,
          folder,
        ),
    },
  };
  let certificates: Certificates | undefined;
  return {
    apply,
    render: async (observed) => {
      const rendered = await renderFor(
        { context, server, programPath, options, databases },
        observed,
      );
      certificates = rendered.certificates;
      return rendered.desired;
    },
    keepRendered: async () => certificates?.store(),
  };
}

/** Another machine runs the agent and builds images with the program that is installed there. */
async function requireProgram({ host }: Server, { paths }: CliContext): Promise<void> {
  if (host.name === 'localhost' || (await host.stat(paths.program)) !== undefined) return;
  throw new AppError({
    code: 'usage/not-installed',
    what: `holdfast is not installed on ${host.name}`,
    hint: `on ${host.name}, from a clone: sudo ./scripts/install.sh --no-apply`,
  });
}

/** What a config names by a path stands beside it, on this machine, whichever server it is for; copies, on the server. */
export function sourceHost({ host }: Server, { isKept }: LoadedConfig): Host {
  return isKept || host.name === 'localhost' ? host : new LocalHost();
}

interface RenderFor {
  readonly context: CliContext;
  readonly server: Server;
  readonly programPath: string;
  readonly options: PrepareOptions;
  readonly databases: readonly Notice[];
}

async function renderFor(
  { context, server, programPath, options, databases }: RenderFor,
  observed: Observed,
): Promise<{ readonly desired: Desired; readonly certificates: Certificates }> {
  const { host, engine } = server;
  const { cores } = observed.facts;
  if (options.event === 'apply') requireCores(options.loaded, cores);
  const { loaded, notices: coreNotices } = fitToCores(options.loaded, cores);
  const { config } = loaded;
  const sources = sourceHost(server, loaded);
  const isOneService = options.isOneService ?? false;
  const isUpdate = options.event === 'update';
  const made: LoadedConfig = { ...loaded, isKept: loaded.isKept || isOneService };
  const named = isOneService ? await withKeptFiles(host, context.paths, loaded) : loaded;
  const namedHost = sourceHost(server, named);
  const needs = allNeeds(components, config);
  const directory = acmeSettings(config)?.directory;
  const newSecrets = await generateMissing(host, needs.secrets, observed.secrets);
  const values = new Map<string, Secret>([...observed.secrets, ...newSecrets]);
  const [outcome, certificates, assets, seedTexts, acmeAuthority] = await Promise.all([
    resolveImages({
      host,
      engine,
      project: config.project,
      sources,
      needs: [...needs.images, ...(await builtOnNode(sources, made, observed.lock))],
      services: serviceImages(made),
      lock: observed.lock,
      serving: servingImages(observed),
      programPath,
      refresh: options.refreshImages ?? false,
      keepsEdited: isUpdate,
      keepReleases: config.updates.rollback.keepReleases,
      pins: options.pins?.(observed) ?? {},
      ...(config.images.registry === undefined ? {} : { registry: config.images.registry }),
    }),
    prepareCertificates(host, context.paths, {
      hosts: needs.hosts,
      files: { host: namedHost, pathOf: named.pathOf },
      tls: config.tls,
      project: config.project,
      ...(directory === undefined ? {} : { directory }),
      now: context.now(),
      renews: !isOneService,
    }),
    loadAssets(context.packageRoot),
    readSeeds(namedHost, named),
    readAcmeAuthority(namedHost, named),
  ]);
  const releases =
    made.isKept || isUpdate
      ? await servedReleases(host, context.paths, config)
      : await siteReleases(sources, loaded, outcome.images);
  const inForce = isOneService
    ? await secretsInForce(host, context.paths, observed.manifest)
    : undefined;
  const { scales } = keptScales(config, { ...observed.lock.scales, ...options.scales });
  const { scales: _before, postgresMajor: _away, ...lock } = observed.lock;
  const cloudflare = options.cloudflare ?? lock.cloudflare;
  const maintenance = await maintenanceState(host, context.paths);
  const upgrade = await wantedUpgrade(context, server, observed, {
    project: config.project,
    image: outcome.lock.images.postgres,
    allowed: options.upgradesPostgres ?? false,
  });
  const postgresVolume = upgrade?.to.volume ?? options.postgresVolume ?? lock.postgresVolume;
  const desired = render({
    config,
    components,
    assets,
    facts: observed.facts,
    images: outcome.images,
    paths: context.paths,
    ...(scales !== undefined && { scales }),
    ...(cloudflare !== undefined && { cloudflare }),
    secret: (name) => requireSecret(values, name),
    optionalSecret: (name) => values.get(name),
    certificates: certificates.pairs,
    acmeAuthority,
    siteReleases: releases,
    ...(inForce !== undefined && { secretsInForce: inForce }),
    lock: {
      ...lock,
      ...outcome.lock,
      ...(scales !== undefined && { scales }),
      ...(postgresVolume !== undefined && { postgresVolume }),
      ...majorAway(observed.lock, outcome.lock.images),
      ...(cloudflare !== undefined && { cloudflare }),
      // What the engine has outweighs a lock file that is lost or older: a moved subnet recreates containers.
      subnets: {
        ...observed.lock.subnets,
        ...subnetsInUse(config.project, observed.networks),
      },
    },
    configDigest: loaded.digest,
    newSecrets,
    seedTexts,
    notices: [
      ...configNotices(loaded),
      ...(await baseRateNotices(host, context.paths, config)),
      ...databases,
      ...coreNotices,
      ...pinNotices(outcome.lock.services),
      ...certificates.notices,
      ...(maintenance === undefined
        ? []
        : [{ code: 'maintenance/on', text: maintenanceText(maintenance) }]),
    ],
  });
  const memory = memoryNotices(loaded, desired, observed.facts.memoryBytes);
  return {
    desired: {
      ...desired,
      ...(upgrade === undefined ? {} : { postgresUpgrade: upgrade }),
      ...(isBackedUpBefore(config, options.event) ? { backsUpFirst: true } : {}),
      ...keptImages(observed),
      notices: [...desired.notices, ...memory],
    },
    certificates,
  };
}

function isBackedUpBefore(
  { postgres }: LoadedConfig['config'],
  event: 'migrate' | PrepareOptions['event'],
): boolean {
  return event !== undefined && postgres?.snapshotBefore.includes(event) === true;
}

/** What the way back from an upgrade of Postgres runs on. */
function keptImages({ postgresUpgrade }: Observed): Pick<Desired, 'keptImages'> {
  if (postgresUpgrade === undefined) return {};
  const { from, to } = postgresUpgrade;
  return { keptImages: [from.image.reference, to.image.reference] };
}

function requireSecret(values: ReadonlyMap<string, Secret>, name: string): Secret {
  const value = values.get(name);
  if (value === undefined)
    throw new Error(`a component uses the secret ${name} without a need for it`);
  return value;
}
