import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Component, ComponentInput, Needs } from '../../installer/components/component.ts';
import type { Config } from '../../installer/components/sections.ts';
import { loadConfig } from '../../installer/config/load.ts';
import type { ResolvedImage } from '../../installer/model/images.ts';
import { PLATFORM_IMAGES } from '../../installer/model/images.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { Secret } from '../../installer/model/secret.ts';

export const PACKAGE_ROOT = join(import.meta.dirname, '../..');

/** The config of a YAML text, whose first lines are given here. */
export function configOf(body: string): Config {
  const text = `version: 1\ndomain: app.example.com\ncontact: ops@example.com\n${body}`;
  const loaded = loadConfig(text, 'config.yaml');
  if (loaded.ok) return loaded.config;
  throw new Error(loaded.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
}

export interface InputOptions {
  /** Values that somebody has stored; needs that can be generated get one of their own. */
  readonly stored?: Readonly<Record<string, string>>;
  readonly memoryBytes?: number;
  readonly cores?: number;
  readonly ipv6?: boolean;
  /** References by platform image. */
  readonly images?: Readonly<Record<string, string>>;
  readonly root?: string;
}

/** What a component sees of a server with these secrets. */
export function inputOf(
  config: Config,
  components: readonly Component[],
  options: InputOptions = {},
): ComponentInput {
  const values = new Map<string, Secret>();
  for (const { name, generate } of needsOf(config, components).secrets ?? []) {
    if (generate !== undefined) values.set(name, generated(name));
  }
  for (const [name, value] of Object.entries(options.stored ?? {})) {
    values.set(name, new Secret(value));
  }
  return {
    config,
    facts: {
      memoryBytes: options.memoryBytes ?? 4 * 1024 ** 3,
      cores: options.cores ?? 2,
      architecture: 'x64',
      distribution: { id: 'debian', version: '13' },
      systemd: true,
      nft: true,
      ssh: { ports: [22] },
      otherFirewalls: [],
      ipv6: options.ipv6 ?? false,
    },
    images: {
      platform: Object.fromEntries(
        PLATFORM_IMAGES.map((name) => [name, image(options.images?.[name] ?? `test/${name}:1`)]),
      ),
      services: Object.fromEntries(
        [...Object.values(config.services), ...Object.values(config.accessories)].map((service) => [
          service.name,
          image(service.image ?? `holdfast/${service.name}:built`),
        ]),
      ),
    },
    paths: pathsUnder(options.root),
    secret: (name) => {
      const value = values.get(name);
      if (value === undefined) throw new Error(`no component said that it needs ${name}`);
      return value;
    },
    optionalSecret: (name) => values.get(name),
    certificates: new Map(),
    siteReleases: releasesOf(config),
  };
}

/** Each site's release is made up. */
export function releasesOf({ sites }: Config): ComponentInput['siteReleases'] {
  return new Map(
    Object.keys(sites).map((name) => [
      name,
      { release: '0123456789abcdef', source: { kind: 'folder', path: `/srv/${name}` } },
    ]),
  );
}

export function needsOf(config: Config, components: readonly Component[]): Needs {
  const needs = components
    .filter((component) => component.enabled(config))
    .map((component) => component.needs?.(config) ?? {});
  return {
    images: needs.flatMap(({ images = [] }) => images),
    secrets: needs.flatMap(({ secrets = [] }) => secrets),
  };
}

/** A generated password is the same in every run of a test, and differs from all others. */
export function generated(name: string): Secret {
  return new Secret(createHash('sha256').update(`test ${name}`).digest('base64url'));
}

function image(reference: string): ResolvedImage {
  return { reference, version: '1', source: 'debian', action: { kind: 'present' } };
}

/** The real text assets, by path in the package. */
export function packageAssets(): ReadonlyMap<string, string> {
  const assets = new Map<string, string>();
  for (const folder of ['compose', 'templates', 'nginx'])
    collect(join(PACKAGE_ROOT, folder), assets);
  return assets;
}

function collect(path: string, assets: Map<string, string>): void {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) collect(child, assets);
    else assets.set(relative(PACKAGE_ROOT, child), readFileSync(child, 'utf8'));
  }
}
