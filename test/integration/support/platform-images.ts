/** Builds the Debian images that a test needs, the way `images/README.md` says. */
import { execFileSync } from 'node:child_process';
import { docker, outcome } from './docker.ts';

const folder = new URL('../../../images/', import.meta.url).pathname;

interface Image {
  readonly name: string;
  readonly reference: string;
  readonly version: string;
  readonly install: string;
}

interface Answer {
  readonly aptSetup: string;
  readonly base: Image;
  readonly images: readonly Image[];
}

/** Image references by name, all present on the engine. Package lists of the last hour will do. */
export async function platformImages(...names: string[]): Promise<Record<string, string>> {
  return present(await resolve(), names);
}

/** Postgres 15, which Debian 12 has: present on the engine. */
export async function olderPostgres(): Promise<string> {
  const { postgres = '' } = await present(await resolve('--suite', 'bookworm'), ['postgres']);
  return postgres;
}

async function present(answer: Answer, names: readonly string[]): Promise<Record<string, string>> {
  const wanted = answer.images.filter((image) => names.includes(image.name));
  const missing: Image[] = [];
  for (const image of wanted) {
    const { code } = await outcome(['docker', 'image', 'inspect', image.reference]);
    if (code !== 0) missing.push(image);
  }
  if (missing.length > 0) build(answer, missing);
  return Object.fromEntries(wanted.map((image) => [image.name, image.reference]));
}

async function resolve(...options: string[]): Promise<Answer> {
  const offline = await outcome([`${folder}resolve.sh`, '--offline', ...options]);
  if (offline.code === 0) return JSON.parse(offline.stdout) as Answer;
  const online = await outcome([`${folder}resolve.sh`, ...options]);
  if (online.code !== 0) throw new Error(`resolve.sh: ${online.stderr}`);
  return JSON.parse(online.stdout) as Answer;
}

function build(answer: Answer, images: readonly Image[]): void {
  execFileSync(`${folder}base.sh`, [answer.base.reference], { stdio: ['ignore', 2, 2] });
  const wanted = images.map(({ name, reference, version, install }) => ({
    name,
    reference,
    version,
    install,
  }));
  execFileSync('docker', ['buildx', 'bake', '-f', 'docker-bake.hcl', 'platform'], {
    cwd: folder,
    stdio: ['ignore', 2, 2],
    env: {
      ...process.env,
      BUILDX_BAKE_ENTITLEMENTS_FS: '0',
      HOLDFAST_BASE: answer.base.reference,
      HOLDFAST_APT_SETUP: answer.aptSetup,
      HOLDFAST_IMAGES: JSON.stringify(wanted),
    },
  });
}

/** Docker's own record of an image. */
export async function imageConfig(reference: string): Promise<{
  Labels: Record<string, string>;
  StopSignal?: string;
  User: string;
}> {
  return JSON.parse(await docker('image', 'inspect', '--format', '{{json .Config}}', reference));
}
