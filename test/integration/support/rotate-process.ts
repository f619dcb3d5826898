/** The data components applied for real, and a rotation that can kill its own process with -9. */
import { apply } from '../../../installer/apply/apply.ts';
import { type ApplyContext, SYSTEM_CLOCK } from '../../../installer/apply/context.ts';
import { thisProcess } from '../../../installer/apply/process-identity.ts';
import { loginOf, passwordServer } from '../../../installer/cli/password-server.ts';
import { DockerEngine } from '../../../installer/engine/docker.ts';
import type { Host } from '../../../installer/host/host.ts';
import { LocalHost } from '../../../installer/host/local.ts';
import { pathsUnder } from '../../../installer/model/paths.ts';
import { Secret } from '../../../installer/model/secret.ts';
import type { Observed } from '../../../installer/plan/observed.ts';
import { render } from '../../../installer/render/render.ts';
import { generateMissing } from '../../../installer/secrets/missing.ts';
import { rotate } from '../../../installer/secrets/rotate.ts';
import { SecretStore } from '../../../installer/secrets/store.ts';
import { configOf, inputOf, needsOf, packageAssets } from '../../support/component-input.ts';
import { DATA_COMPONENTS } from '../../support/rendered.ts';

export interface DataPlatform {
  readonly root: string;
  /** The whole config but for its first three lines. */
  readonly body: string;
  /** References by platform image. */
  readonly images: Readonly<Record<string, string>>;
  /** CIDR by network name. */
  readonly subnets: Readonly<Record<string, string>>;
}

export interface Opened {
  readonly context: ApplyContext;
  readonly store: SecretStore;
  readonly engine: DockerEngine;
  /** What it has changed on the host so far. */
  changes(): number;
  applyAll(): Promise<string>;
  rotateSecret(name: string): Promise<string>;
}

/** `killAt` counts what the process changes on the host, from 1; there it dies, before doing it. */
export function openPlatform(platform: DataPlatform, killAt = Number.POSITIVE_INFINITY): Opened {
  const config = configOf(platform.body);
  const paths = pathsUnder(platform.root);
  const { host, changes } = mortal(new LocalHost(), killAt);
  const engine = new DockerEngine();
  const store = new SecretStore(host, paths);
  const noImages = async (): Promise<never> => {
    throw new Error('the images are there already');
  };
  const context: ApplyContext = {
    host,
    engine,
    paths,
    project: config.project,
    secrets: store,
    images: { bake: noImages, pull: noImages, build: noImages },
    releases: { fill: noImages },
    report: () => undefined,
    clock: SYSTEM_CLOCK,
  };
  const applyAll = async () => {
    const { result } = await apply(context, {
      process: await thisProcess('test'),
      command: 'holdfast apply',
      waitSeconds: 0,
      render: (observed) => renderFor(platform, host, observed),
      confirm: async () => true,
      configDigest: async () => '0',
    });
    return result;
  };
  return {
    context,
    store,
    engine,
    changes,
    applyAll,
    async rotateSecret(name) {
      const login = loginOf(config, name);
      if (login === undefined) throw new Error(`no server keeps ${name}`);
      const server = { host, engine };
      const process = await thisProcess('test');
      const command = `holdfast secrets rotate ${name}`;
      return rotate({
        name,
        store,
        newValue: async () => new Secret(`rotated-${crypto.randomUUID()}`),
        server: passwordServer(
          { server, paths, project: config.project, store, process, command },
          login,
        ),
        agree: async () => true,
        exclusively: (step) => step(),
        apply: async () => {
          await applyAll();
        },
      });
    },
  };
}

async function renderFor(platform: DataPlatform, host: Host, observed: Observed) {
  const config = configOf(platform.body);
  const needs = needsOf(config, DATA_COMPONENTS).secrets ?? [];
  const newSecrets = await generateMissing(host, needs, observed.secrets);
  const values = [...observed.secrets, ...newSecrets].map(
    ([name, value]) => [name, value.reveal()] as const,
  );
  return render({
    ...inputOf(config, DATA_COMPONENTS, {
      stored: Object.fromEntries(values),
      images: platform.images,
      root: platform.root,
    }),
    components: DATA_COMPONENTS,
    assets: packageAssets(),
    lock: { ...observed.lock, subnets: { ...platform.subnets, ...observed.lock.subnets } },
    configDigest: '0',
    newSecrets,
    notices: [],
    seedTexts: new Map(),
  });
}

const CHANGES = ['write', 'remove', 'makeDirectory', 'run'] as const;
/** They ask whether a service answers, as often as a slow machine makes them. */
const LOOKS = ['timeout', 'curl'];

function mortal(
  host: LocalHost,
  killAt: number,
): { readonly host: Host; readonly changes: () => number } {
  let count = 0;
  const watched = Object.fromEntries(
    CHANGES.map((name) => [
      name,
      (...args: unknown[]) => {
        const [first] = args as [{ readonly argv?: readonly string[] }?];
        if (!LOOKS.includes(first?.argv?.[0] ?? '')) count += 1;
        if (count === killAt) process.kill(process.pid, 'SIGKILL');
        return (host[name] as (...all: unknown[]) => unknown).apply(host, args);
      },
    ]),
  );
  const proxy = new Proxy(host, {
    get: (target, key) => {
      const own = watched[String(key)];
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { host: proxy, changes: () => count };
}

if (process.argv[2] === 'rotate') {
  const [platform, name, killAt] = JSON.parse(process.argv[3] ?? '') as [
    DataPlatform,
    string,
    number,
  ];
  const opened = openPlatform(platform, killAt);
  await opened.rotateSecret(name);
  await opened.engine.close();
}
