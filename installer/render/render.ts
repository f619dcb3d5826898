import type { Component, ComponentInput } from '../components/component.ts';
import { hostBlocks } from '../components/nginx/hosts.ts';
import { RELAY_NETWORK, RELAY_SUBNET } from '../components/nginx/relay.ts';
import type { DirectorySpec, FileSpec, Notice } from '../model/contribution.ts';
import type { Desired, DesiredFile } from '../model/desired.ts';
import type { ImageAction, ResolvedImages } from '../model/images.ts';
import { type LockFile, lockFileText } from '../model/lock-file.ts';
import type { Paths } from '../model/paths.ts';
import type { Secret } from '../model/secret.ts';
import { composeSecretsText, composeText } from './compose-file.ts';
import { frontDoorChecks, siteChecks } from './front-door.ts';
import { mergeContributions } from './merge.ts';
import { seedProvision } from './seeds.ts';
import { buildStack, specDigest } from './stack.ts';
import { type Assets, renderTemplate } from './template.ts';

export interface RenderInput extends ComponentInput {
  readonly components: readonly Component[];
  readonly assets: Assets;
  /** With the images of this run already decided; the subnets are added here. */
  readonly lock: LockFile;
  /** sha256 of the config file's bytes, hex. */
  readonly configDigest: string;
  readonly newSecrets: ReadonlyMap<string, Secret>;
  /** Texts of the seed files, by service; needed for every service with a seed. */
  readonly seedTexts?: ReadonlyMap<string, string>;
  /** Such as parts of the config that are accepted and not yet applied. */
  readonly notices: readonly Notice[];
}

/** Everything that shall be true of a server, from a config and what was observed. Pure. */
export function render(input: RenderInput): Desired {
  const { config, paths, assets } = input;
  const enabled = input.components.filter((component) => component.enabled(config));
  const { postgresVolume } = input.lock;
  const relaySubnet = input.lock.subnets[RELAY_NETWORK];
  const seen: ComponentInput = {
    ...input,
    ...(postgresVolume === undefined ? {} : { postgresVolume }),
    ...(relaySubnet === undefined ? {} : { relaySubnet }),
  };
  const first = enabled.map((component) => component.contribute?.(seen) ?? {});
  const collected = mergeContributions(first);
  const second = enabled.map((component) => component.collect?.(seen, collected) ?? {});
  const all = mergeContributions([...first, ...second]);

  const stack = buildStack(
    config.project,
    all.fragments,
    { [RELAY_NETWORK]: RELAY_SUBNET, ...input.lock.subnets },
    assets,
  );
  const specs = new Map(
    Object.entries(stack.services).map(([name, service]) => [
      name,
      specDigest(service, all.secretEnvironment[name]),
    ]),
  );
  const blocks = hostBlocks(config, all.routes, all.siteHosts);
  const rolled = new Map(all.rolled.map((one) => [one.service, one]));
  const lock: LockFile = {
    ...input.lock,
    subnets: Object.fromEntries(
      Object.entries(stack.networks).map(([name, { subnet }]) => [name, subnet]),
    ),
  };
  const own = (path: string, content: string, secret: boolean): DesiredFile => ({
    path,
    content,
    mode: secret ? 0o600 : 0o644,
    uid: 0,
    gid: 0,
    secret,
    onChange: [],
  });
  const files = [
    own(`${paths.stack}/compose.yaml`, composeText(stack, specs, rolled), false),
    own(
      `${paths.stack}/compose.secrets.yaml`,
      composeSecretsText(all.secretEnvironment, rolled),
      true,
    ),
    own(paths.lock, lockFileText(lock), false),
    ...all.files.map((file) => desiredFile(file, paths, assets)),
  ];
  return {
    project: config.project,
    files: uniqueByPath(files),
    stack,
    specs,
    images: imageActions(input.images, stack.services, all.sites),
    newSecrets: input.newSecrets,
    reloads: all.reloads,
    validators: all.validators,
    provisions: [
      ...all.provisions,
      ...all.seeds.map((seed) => seedProvision(seed, seedText(input, seed.service))),
    ],
    frontDoor: [...frontDoorChecks(blocks, all.routes, all.httpChecks), ...siteChecks(blocks)],
    httpChecks: all.httpChecks,
    portChecks: all.portChecks,
    migrations: all.migrations,
    sites: all.sites,
    rolled,
    standIns: all.standIns,
    directories: [...ownDirectories(paths), ...all.directories],
    notices: [...input.notices, ...all.notices],
    lock,
    configDigest: input.configDigest,
  };
}

function seedText({ seedTexts }: RenderInput, service: string): string {
  const text = seedTexts?.get(service);
  if (text === undefined) throw new Error(`the seed of ${service} was not read`);
  return text;
}

function desiredFile(file: FileSpec, paths: Paths, assets: Assets): DesiredFile {
  const { content, secret = false } = file;
  return {
    path: file.path.startsWith('/') ? file.path : `${paths.stack}/${file.path}`,
    content:
      'text' in content
        ? content.text
        : renderTemplate(assets, content.template, content.data, content.format),
    mode: file.mode ?? (secret ? 0o600 : 0o644),
    uid: file.uid ?? 0,
    gid: file.gid ?? 0,
    secret,
    onChange: file.onChange ?? [],
  };
}

function uniqueByPath(files: readonly DesiredFile[]): ReadonlyMap<string, DesiredFile> {
  const byPath = new Map<string, DesiredFile>();
  for (const file of files) {
    if (byPath.has(file.path)) throw new Error(`two components write ${file.path}`);
    byPath.set(file.path, file);
  }
  return byPath;
}

function imageActions(
  images: ResolvedImages,
  services: Desired['stack']['services'],
  sites: Desired['sites'],
): ReadonlyMap<string, ImageAction> {
  const used = new Set(Object.values(services).map(({ image }) => image));
  for (const { source } of sites) if (source.kind === 'build') used.add(source.image);
  // A build that stands on one of our images needs that one first.
  for (const { action } of Object.values(images.services)) {
    if (action.kind === 'build') for (const value of Object.values(action.args)) used.add(value);
  }
  const actions = new Map<string, ImageAction>();
  for (const resolved of [...Object.values(images.platform), ...Object.values(images.services)]) {
    if ('unavailable' in resolved || !used.has(resolved.reference)) continue;
    actions.set(resolved.reference, resolved.action);
  }
  return actions;
}

/** Containers enter these through bind mounts only, so the strict modes keep out other users of the host. */
function ownDirectories(paths: Paths): DirectorySpec[] {
  const folder = (path: string, mode: number): DirectorySpec => ({ path, mode, uid: 0, gid: 0 });
  return [
    folder(paths.state, 0o755),
    folder(paths.stack, 0o755),
    folder(paths.secrets, 0o700),
    folder(paths.secretMounts, 0o700),
    folder(paths.tls, 0o700),
    folder(paths.agent, 0o700),
    folder(paths.backups, 0o700),
    folder(paths.metrics, 0o755),
    folder(paths.sites, 0o755),
  ];
}
