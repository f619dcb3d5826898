import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Component, ComponentInput } from '../../installer/components/component.ts';
import { resolveConfig } from '../../installer/components/rules/resolve.ts';
import { type Config, configFile } from '../../installer/components/sections.ts';
import type { Contribution } from '../../installer/model/contribution.ts';
import type { Desired } from '../../installer/model/desired.ts';
import { PLATFORM_IMAGES, type ResolvedImages } from '../../installer/model/images.ts';
import { EMPTY_LOCK } from '../../installer/model/lock-file.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { Secret } from '../../installer/model/secret.ts';
import { render } from '../../installer/render/render.ts';
import { releasesOf } from './component-input.ts';

const ROOT = join(import.meta.dirname, '../..');

/** A config from YAML text, resolved; `version` and `contact` are filled in. */
export function configFrom(text: string): Config {
  const written: Record<string, unknown> = parse(text);
  return resolveConfig(configFile.parse({ version: 1, contact: 'ops@example.com', ...written }));
}

/** Every platform image, with a made-up reference unless one is given. */
export function imagesWith(references: Readonly<Record<string, string>> = {}): ResolvedImages {
  const platform = PLATFORM_IMAGES.map((name) => [
    name,
    {
      reference: references[name] ?? `holdfast/${name}:1.0-test`,
      version: '1.0',
      source: 'debian',
      action: { kind: 'present' },
    },
  ]);
  return { platform: Object.fromEntries(platform), services: {} };
}

/** What a component sees on a machine with two cores and 4 GiB. Every secret and certificate is there. */
export function componentInput(config: Config, more: Partial<ComponentInput> = {}): ComponentInput {
  const pair = { certificate: 'certificate\n', key: new Secret('key\n') };
  const hosts = [
    config.domain,
    config.monitoring.grafana.host,
    ...Object.values(config.services).flatMap(({ routes }) => routes.map(({ host }) => host)),
    ...Object.values(config.sites).flatMap(({ hosts: names }) => names),
    ...config.edgeCache.map(({ host }) => host),
  ];
  return {
    config,
    facts: {
      memoryBytes: 4 * 1024 ** 3,
      cores: 2,
      architecture: 'x64',
      distribution: { id: 'debian', version: '13' },
      systemd: true,
      nft: true,
      ssh: { ports: [22] },
      otherFirewalls: [],
      ipv6: false,
    },
    images: imagesWith(),
    paths: pathsUnder(),
    secret: (name) => new Secret(`secret of ${name}`),
    optionalSecret: () => undefined,
    certificates: new Map(hosts.map((host) => [host, pair])),
    siteReleases: releasesOf(config),
    ...more,
  };
}

/** A component that contributes what a test says, in the first round. */
export function contributing(contribution: Contribution): Component {
  return { id: 'test', enabled: () => true, contribute: () => contribution };
}

export function renderWith(components: readonly Component[], input: ComponentInput): Desired {
  return render({
    ...input,
    components,
    assets: packageAssets(),
    lock: EMPTY_LOCK,
    configDigest: 'c0ffee',
    newSecrets: new Map(),
    seedTexts: new Map(),
    notices: [],
  });
}

/** The text assets of the working tree, as the installed package has them. */
function packageAssets(): ReadonlyMap<string, string> {
  const files = ['compose', 'templates', 'nginx'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  return new Map(files.map((file) => [file.slice(ROOT.length + 1), readFileSync(file, 'utf8')]));
}
