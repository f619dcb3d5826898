import { readFileSync, writeFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DockerEngine } from '../../../installer/engine/docker.ts';
import type { ContainerState } from '../../../installer/engine/engine.ts';
import { LocalHost } from '../../../installer/host/local.ts';
import { LABELS } from '../../../installer/model/labels.ts';
import { Secret } from '../../../installer/model/secret.ts';
import { SecretStore } from '../../../installer/secrets/store.ts';
import { Appliance, type Ran } from '../../support/appliance.ts';
import { QUIET_ZONE } from '../../support/quiet-zone.ts';
import {
  buildStandIns,
  RT_FOLDER,
  removeStandIns,
  STAND_IN_REPOSITORY,
  startBucket,
} from './stand-ins.ts';

/** What `examples/rt` names; `JWT_SECRET` signs the tokens of its users. */
export const RT_SECRETS = {
  JWT_SECRET: 'jwt-3f1b8d0a55c2',
  INTERNAL_SERVICE_TOKEN: 'internal-94ac1e77',
  API_SECRET_KEY: 'api-0d8f3b21',
  MONGODB_URI: 'mongodb://rt:m0ng0@mongodb:27017/rt-production',
  MAILGUN_API_KEY: 'mailgun-7a1c',
  VATCHECK_API_KEY: 'vat-55e0',
  OPENROUTER_API_KEY: 'openrouter-18bd',
  MONGO_INITDB_ROOT_USERNAME: 'rt',
  MONGO_INITDB_ROOT_PASSWORD: 'm0ng0-5cc2',
  S3_MAIN_ACCESS_KEY_ID: 'main-key-id',
  S3_MAIN_SECRET_ACCESS_KEY: 'main-secret-key-80d1',
  S3_COPY_ACCESS_KEY_ID: 'copy-key-id',
  S3_COPY_SECRET_ACCESS_KEY: 'copy-secret-key-22ab',
  HEARTBEAT_URL: 'https://heartbeat.invalid/rt',
} as const;

/** `examples/rt` applied on the real engine: 24 services, two sites, a database that stands in, and a bucket. */
export class RtLab {
  readonly appliance: Appliance;
  readonly bucket: Awaited<ReturnType<typeof startBucket>>;
  /** Its config, as written. */
  readonly text: string;
  readonly #folder: string;
  readonly #engine = new DockerEngine();

  private constructor(fields: {
    appliance: Appliance;
    bucket: RtLab['bucket'];
    text: string;
    folder: string;
  }) {
    this.appliance = fields.appliance;
    this.bucket = fields.bucket;
    this.text = fields.text;
    this.#folder = fields.folder;
  }

  static async start(): Promise<RtLab> {
    await buildStandIns();
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-rt-'));
    await cp(RT_FOLDER, folder, { recursive: true });
    const bucket = await startBucket({ '/rt-prod-images/logo.svg': '<svg/>' });
    const config = join(folder, 'config.yaml');
    const text = readFileSync(config, 'utf8')
      .replaceAll('ghcr.io/rt-technologie', STAND_IN_REPOSITORY)
      .replace('https://s3.eu-west-3.amazonaws.com', bucket.endpoint)
      .replace('project: rt\n', `project: rt\ntimezone: ${QUIET_ZONE}\n`)
      // Of every service one replica is enough here, but for one.
      .replace('min: 2,', 'min: 1,')
      .replace('port: 3007\n', 'port: 3007\n    replicas: { min: 2 }\n');
    writeFileSync(config, text);
    const appliance = await Appliance.create(config);
    const lab = new RtLab({ appliance, bucket, text, folder });
    const store = new SecretStore(new LocalHost(), appliance.paths);
    for (const [name, value] of Object.entries(RT_SECRETS)) {
      await store.store(name, new Secret(value));
    }
    const first = await lab.run('apply', '--yes');
    if (first.exitCode === 0) return lab;
    await lab.remove();
    throw new Error(`the first apply failed: ${first.stderr.slice(-3000)}`);
  }

  run(...argv: string[]): Promise<Ran> {
    return this.appliance.run([...argv, '--config', this.appliance.configPath]);
  }

  containers(): Promise<readonly ContainerState[]> {
    return this.#engine.containers({ [LABELS.project]: 'rt' });
  }

  /** Memory of nginx's container without page cache, bytes. */
  async nginxMemory(): Promise<number> {
    const nginx = (await this.containers()).find(({ service }) => service === 'nginx');
    if (nginx === undefined) throw new Error('nginx is not there');
    return (await this.#engine.stats(nginx.id)).memoryBytes;
  }

  async remove(): Promise<void> {
    // First what would keep this process alive if the rest fails.
    this.bucket.stop();
    await this.#engine.close();
    await this.appliance.remove();
    await removeStandIns();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
