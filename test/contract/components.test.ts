import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { components } from '../../installer/components/registry.ts';
import { loadConfig } from '../../installer/config/load.ts';
import { Secret } from '../../installer/model/secret.ts';
import { mergeContributions } from '../../installer/render/merge.ts';
import { inputOf, PACKAGE_ROOT, packageAssets } from '../support/component-input.ts';
import { GOLDEN_FOLDER, renderScenario, scenarios } from '../support/golden.ts';

/** All that the components contribute to a scenario. */
function contributionsOf(name: string, systemd = true, ipv6 = false) {
  const loaded = loadConfig(
    readFileSync(join(GOLDEN_FOLDER, name, 'config.yaml'), 'utf8'),
    'config.yaml',
  );
  if (!loaded.ok) throw new Error(`scenario ${name} is not valid`);
  const { config } = loaded;
  const enabled = components.filter((component) => component.enabled(config));
  const needs = enabled.map((component) => component.needs?.(config) ?? {});
  const plain = inputOf(config, components, {
    stored: Object.fromEntries(
      needs
        .flatMap(({ secrets = [] }) => secrets)
        .filter(({ generate, optional }) => generate === undefined && !optional)
        .map(({ name: secret }) => [secret, `value of ${secret}`]),
    ),
  });
  const input = {
    ...plain,
    facts: { ...plain.facts, systemd, ipv6 },
    certificates: new Map(
      needs
        .flatMap(({ hosts = [] }) => hosts)
        .map(({ host }) => [host, { certificate: 'c', key: new Secret('k') }]),
    ),
  };
  const first = enabled.map((component) => component.contribute?.(input) ?? {});
  const collected = mergeContributions(first);
  return mergeContributions([
    ...first,
    ...enabled.map((component) => component.collect?.(input, collected) ?? {}),
  ]);
}

for (const name of scenarios()) {
  t.test(`${name}: every service of the stack is limited, checked and pinned`, async (t) => {
    const { stack } = renderScenario(name);
    for (const [service, definition] of Object.entries(stack.services)) {
      t.ok(definition.mem_limit >= 8 * 1024 ** 2, `${service} has a memory limit`);
      t.ok(
        definition.healthcheck.test.length > 0,
        `${service} has a health check, or says that it is probed from outside`,
      );
      const isNetworked =
        definition.network_mode === 'host' || Object.keys(definition.networks).length > 0;
      t.ok(isNetworked, `${service} names its networks`);
      t.match(definition.image, /:[^:]+$/, `${service} has a pinned image`);
      t.notMatch(definition.image, /:latest$/, `${service} is not :latest`);
      t.ok(definition.labels?.['io.holdfast.component'], `${service} bears its component`);
      if (definition.ports !== undefined) t.equal(service, 'nginx', 'only nginx publishes ports');
      for (const mount of definition.volumes ?? []) {
        t.notMatch(mount.source, /docker\.sock/, `${service} has no Docker socket`);
        if (mount.type === 'volume')
          t.ok(mount.source in stack.volumes, `${service}: volume ${mount.source} is declared`);
      }
      for (const network of Object.keys(definition.networks)) {
        t.ok(network in stack.networks, `${service}: network ${network} is declared`);
      }
    }
  });

  t.test(
    `${name}: databases and caches have no way out and are reached only by who uses them`,
    async (t) => {
      const { stack } = renderScenario(name);
      for (const server of ['postgres', 'redis']) {
        for (const network of Object.keys(stack.services[server]?.networks ?? {})) {
          t.equal(stack.networks[network]?.internal, true, `${server} on ${network}`);
        }
      }
    },
  );

  t.test(`${name}: alerts have a runbook, volumes a backup or a reason`, async (t) => {
    const all = contributionsOf(name);
    for (const { name: alert, runbook, summary } of all.alerts) {
      t.ok(
        existsSync(join(PACKAGE_ROOT, 'docs/runbooks', `${runbook}.md`)),
        `${alert} has the page ${runbook}.md`,
      );
      t.ok(summary.length > 10, `${alert} says what happened`);
    }
    const { stack, project } = renderScenario(name);
    const covered = new Set([
      ...all.backups.flatMap((source) => (source.kind === 'volume' ? [source.volume] : [])),
      ...all.unbackedVolumes.map(({ volume }) => volume),
      ...all.backups.flatMap((source) =>
        source.kind === 'postgres' ? ['postgres'] : source.kind === 'redis' ? ['redis'] : [],
      ),
    ]);
    for (const [volume, { component }] of Object.entries(stack.volumes)) {
      t.ok(
        covered.has(volume) || covered.has(`${project}_${volume}`) || covered.has(component),
        `volume ${volume} has a backup source or a written reason`,
      );
    }
  });
}

t.test('each asset is claimed once, and none is left over', async (t) => {
  const claimed = new Set<string>();
  const variants = scenarios().flatMap((name) => [
    { name, all: contributionsOf(name, true) },
    { name, all: contributionsOf(name, false, true) },
  ]);
  for (const { name, all } of variants) {
    const own = [
      ...all.fragments.map(({ template }) => `compose/${template}`),
      ...all.files.flatMap(({ content }) => ('template' in content ? [content.template] : [])),
      ...all.dashboards.map(({ template }) => `templates/${template}`),
    ];
    for (const path of own) claimed.add(path);
    const fragments = all.fragments.map(({ template }) => template);
    t.equal(new Set(fragments).size, fragments.length, `${name}: each fragment once`);
  }
  const assets = packageAssets();
  for (const path of claimed) t.ok(assets.has(path), `${path} is in the package`);
  const unclaimed = [...assets.keys()].filter(
    (path) => path.endsWith('.ejs') && !claimed.has(path),
  );
  t.strictSame(unclaimed, [], 'no template is left over');
});
