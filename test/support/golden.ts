import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { components } from '../../installer/components/registry.ts';
import { loadConfig } from '../../installer/config/load.ts';
import type { Desired } from '../../installer/model/desired.ts';
import { EMPTY_LOCK } from '../../installer/model/lock-file.ts';
import { Secret } from '../../installer/model/secret.ts';
import { render } from '../../installer/render/render.ts';
import { type InputOptions, inputOf, PACKAGE_ROOT, packageAssets } from './component-input.ts';

export const GOLDEN_FOLDER = join(PACKAGE_ROOT, 'test/golden');

/** Each scenario is a folder of `test/golden` with its `config.yaml` and the rendered `files/`. */
export function scenarios(): string[] {
  return readdirSync(GOLDEN_FOLDER).filter((name) =>
    statSync(join(GOLDEN_FOLDER, name)).isDirectory(),
  );
}

export function renderScenario(name: string): Desired {
  const text = readFileSync(join(GOLDEN_FOLDER, name, 'config.yaml'), 'utf8');
  // A machine with IPv6 and one without.
  return renderConfig(text, { ipv6: name === 'full' });
}

/** Renders a config with all components and inputs that are the same in every run. */
export function renderConfig(text: string, options: InputOptions = {}): Desired {
  const loaded = loadConfig(text, 'config.yaml');
  if (!loaded.ok)
    throw new Error(loaded.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
  const { config } = loaded;
  const enabled = components.filter((component) => component.enabled(config));
  const needs = enabled.map((component) => component.needs?.(config) ?? {});
  const hosts = needs.flatMap(({ hosts: names = [] }) => names);
  const stored = Object.fromEntries(
    needs
      .flatMap(({ secrets = [] }) => secrets)
      .filter(({ generate, optional }) => generate === undefined && !optional)
      .map(({ name: secret }) => [secret, `golden value of ${secret}`]),
  );
  return render({
    ...inputOf(config, components, { ...options, stored: { ...stored, ...options.stored } }),
    certificates: new Map(
      hosts.map(({ host }) => [
        host,
        { certificate: `certificate of ${host}\n`, key: new Secret(`key of ${host}\n`) },
      ]),
    ),
    components,
    assets: packageAssets(),
    lock: EMPTY_LOCK,
    configDigest: '0'.repeat(64),
    newSecrets: new Map(),
    seedTexts: new Map(Object.keys(config.services).map((service) => [service, '-- seed\n'])),
    notices: [],
  });
}

/** Everything that a person would review, as files; a secret file shows only that it is one. */
export function goldenFiles(desired: Desired): Map<string, string> {
  const files = new Map<string, string>();
  for (const { path, content, secret, mode, uid } of desired.files.values()) {
    const shown = secret ? `secret, mode ${mode.toString(8)}, uid ${uid}\n` : content;
    files.set(join('files', path), shown);
  }
  return files;
}

export function readGolden(name: string): Map<string, string> {
  const root = join(GOLDEN_FOLDER, name);
  const files = new Map<string, string>();
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = relative(root, join(entry.parentPath, entry.name));
    if (entry.isFile() && path !== 'config.yaml')
      files.set(path, readFileSync(join(root, path), 'utf8'));
  }
  return files;
}

export function writeGolden(name: string, files: ReadonlyMap<string, string>): void {
  rmSync(join(GOLDEN_FOLDER, name, 'files'), { recursive: true, force: true });
  for (const [path, content] of files) {
    const target = join(GOLDEN_FOLDER, name, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content);
  }
}
