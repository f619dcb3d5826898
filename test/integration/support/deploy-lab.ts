import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Appliance, type Ran } from '../../support/appliance.ts';
import { docker } from '../../support/containers.ts';
import type { LoadTarget } from '../../support/load.ts';
import { QUIET_ZONE } from '../../support/quiet-zone.ts';
import { buildRelease, type Kind, REPOSITORY } from './releases.ts';

const PROJECT = 'deploytest';
const HOST = 'deploy.example.com';
export interface LabConfig {
  readonly greeting: string;
  /** MiB of a request's body; another one lets nginx read its files anew. */
  readonly maxBody: number;
  /** How long a release is watched after it has taken over, when not as at the start. */
  readonly watchSeconds?: number;
}

/** One service with two or three replicas behind nginx on the real engine, and images of some releases of it. */
export class DeployLab {
  readonly appliance: Appliance;
  readonly #folder: string;
  readonly #images: readonly string[];
  readonly #watchSeconds: number;

  private constructor(
    folder: string,
    appliance: Appliance,
    images: readonly string[],
    watchSeconds: number,
  ) {
    this.#folder = folder;
    this.appliance = appliance;
    this.#images = images;
    this.#watchSeconds = watchSeconds;
  }

  /**
   * @param releases what each release does, by its number; release 1 is applied
   * @param watchSeconds how long a release is watched after it has taken over
   */
  static async start(
    releases: Readonly<Record<string, Kind>>,
    watchSeconds: number,
  ): Promise<DeployLab> {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-deploy-'));
    const images: string[] = [];
    for (const [version, kind] of Object.entries(releases)) {
      images.push(await buildRelease(join(folder, `image-${version}`), kind, version));
    }
    const appliance = await Appliance.create(join(folder, 'config.yaml'));
    const lab = new DeployLab(folder, appliance, images, watchSeconds);
    await lab.configure({ greeting: 'hello', maxBody: 10 });
    const first = await lab.run('apply');
    if (first.exitCode === 0) return lab;
    await lab.remove();
    throw new Error(`the first apply failed: ${first.stderr}`);
  }

  image(version: string): string {
    return `${REPOSITORY}:${version}`;
  }

  /** Writes the config; `apply` is the caller's. WebSockets have a route of their own: theirs is sticky by address. */
  async configure({ greeting, maxBody, watchSeconds }: LabConfig): Promise<void> {
    await writeFile(
      this.appliance.configPath,
      `
version: 1
project: ${PROJECT}
timezone: ${QUIET_ZONE}
domain: ${HOST}
contact: ops@example.com
tls: { issuer: selfsigned }
http: { clientMaxBodySize: ${maxBody}m, realIp: cloudflare }
monitoring: { prometheus: { enabled: false }, grafana: { enabled: false } }
updates: { rollback: { within: ${watchSeconds ?? this.#watchSeconds}s } }
services:
  app:
    image: ${this.image('1')}
    port: 3000
    replicas: { min: 2, max: 3 }
    env: { GREETING: ${greeting} }
    migrate: [node, /app.cjs, migrate]
    health: { path: /health, interval: 1s, timeout: 2s }
    routes: [{ path: / }, { path: /live, websocket: true }]
`,
    );
  }

  argv(...argv: string[]): string[] {
    // `scale` asks nobody.
    const yes = argv[0] === 'scale' ? [] : ['--yes'];
    return [...argv, '--config', this.appliance.configPath, ...yes];
  }

  run(...argv: string[]): Promise<Ran> {
    return this.appliance.run(this.argv(...argv));
  }

  /** One line for each container of the service: name, state and image. */
  async containers(): Promise<string[]> {
    const listed = await docker(
      'ps',
      '--all',
      ...['--filter', `label=io.holdfast.project=${PROJECT}`],
      ...['--filter', 'label=io.holdfast.service=app'],
      ...['--format', '{{.Names}} {{.State}} {{.Image}}'],
    );
    return listed.split('\n').filter(Boolean).sort();
  }

  async target(): Promise<LoadTarget> {
    const ca = await readFile(join(this.appliance.paths.tls, 'private-ca/ca.crt'));
    return { address: '127.0.0.1', port: 443, host: HOST, ca };
  }

  /** The answer of one replica: its version, its name and the bytes that it was sent. */
  async ask(path = '/'): Promise<{ readonly status: number; readonly version: string }> {
    const { status, body } = await this.appliance.ask(`https://${HOST}${path}`);
    return { status, version: body.split(' ')[0] ?? '' };
  }

  async remove(): Promise<void> {
    await this.appliance.remove();
    await docker('image', 'rm', '--force', ...this.#images);
    await rm(this.#folder, { recursive: true, force: true });
  }
}
