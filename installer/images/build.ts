import { AppError } from '../errors.ts';
import { CommandError } from '../host/command-error.ts';
import type { Command, Host } from '../host/host.ts';
import type { ImageAction } from '../model/images.ts';
import { LABELS } from '../model/labels.ts';
import { sortedArgs } from './context-digest.ts';
import { cataloguesOf, type DebianCatalogue, imagesFolder } from './debian.ts';

type OnLine = (line: string) => void;

const BUILD_SECONDS = 3_600;
const SHOWN_LINES = 20;
/** Of our own: under the agent's service the home folder cannot be written. */
const BUILDX_CONFIG = '/var/cache/holdfast/buildx';

/**
 * Builds the Debian images with these references, all in one go, and the root file system under them when
 * it is not there. What is present is left as it is.
 *
 * @param onBase is told the reference of that root file system before it is made
 * @throws AppError `image/build-failed`, `image/outdated-plan` when Debian's lists moved on since the plan
 */
export async function bakeImages(
  host: Host,
  programPath: string,
  references: readonly string[],
  onLine: OnLine,
  onBase: (reference: string) => Promise<void> = async () => undefined,
): Promise<void> {
  const catalogues = await cataloguesOf(host, programPath, references);
  const wanted = catalogues.map((catalogue) => ({
    ...catalogue,
    images: catalogue.images.filter(({ reference }) => references.includes(reference)),
  }));
  const found = wanted.reduce((sum, { images }) => sum + images.length, 0);
  if (found < new Set(references).size) {
    throw new AppError({
      code: 'image/outdated-plan',
      what: "Debian's package lists changed after this plan was made",
      hint: 'run the same holdfast command again: it plans with the new lists',
    });
  }
  for (const catalogue of wanted) {
    if (catalogue.images.length === 0) continue;
    await onBase(catalogue.base.reference);
    await bakeSuite(host, programPath, catalogue, onLine);
  }
}

async function bakeSuite(
  host: Host,
  programPath: string,
  { base, aptSetup, images }: DebianCatalogue,
  onLine: OnLine,
): Promise<void> {
  const folder = imagesFolder(programPath);
  await runBuild(host, 'the root file system of the images', {
    argv: ['bash', `${folder}/base.sh`, base.reference],
    timeoutSeconds: BUILD_SECONDS,
    onLine,
  });
  await runBuild(host, `the image of ${images.map(({ name }) => name).join(', ')}`, {
    argv: [
      'docker',
      'buildx',
      'bake',
      '--file',
      'docker-bake.hcl',
      '--progress',
      'plain',
      ...images.map(({ name }) => name),
    ],
    cwd: folder,
    env: {
      // Newer buildx asks on a terminal before a bake may read outside of its folder.
      BUILDX_BAKE_ENTITLEMENTS_FS: '0',
      BUILDX_CONFIG,
      HOLDFAST_BASE: base.reference,
      HOLDFAST_APT_SETUP: aptSetup,
      HOLDFAST_IMAGES: JSON.stringify(
        images.map(({ name, reference, version, install }) => ({
          name,
          reference,
          version,
          install,
        })),
      ),
    },
    timeoutSeconds: BUILD_SECONDS,
    onLine,
  });
}

/** @throws AppError `image/pull-failed` */
export async function pullImage(host: Host, reference: string, onLine: OnLine): Promise<void> {
  try {
    await host.run({ argv: ['docker', 'pull', reference], timeoutSeconds: BUILD_SECONDS, onLine });
  } catch (error) {
    if (!(error instanceof CommandError) || error.reason !== 'exit') throw error;
    throw new AppError({
      code: 'image/pull-failed',
      what: `the image ${reference} could not be pulled`,
      why: lastLines(error),
      hint: 'make the registry reachable (for a private one: `docker login` on the server), then run the same holdfast command again',
      cause: error,
    });
  }
}

export interface BuildRequest {
  readonly project: string;
  readonly service: string;
  readonly reference: string;
  readonly action: Extract<ImageAction, { kind: 'build' }>;
}

/**
 * Builds a service's image from its Dockerfile under `reference`.
 *
 * @throws AppError `image/build-failed` with the last lines of the build
 */
export async function buildImage(host: Host, request: BuildRequest, onLine: OnLine): Promise<void> {
  const { project, service, reference, action } = request;
  await runBuild(host, `the image of services.${service}`, {
    argv: [
      'docker',
      'buildx',
      'build',
      '--load',
      '--progress',
      'plain',
      '--tag',
      reference,
      '--label',
      `${LABELS.project}=${project}`,
      '--label',
      `${LABELS.component}=services`,
      '--file',
      action.dockerfile,
      ...(action.target === undefined ? [] : ['--target', action.target]),
      ...sortedArgs(action.args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
      action.context,
    ],
    env: { BUILDX_CONFIG },
    timeoutSeconds: BUILD_SECONDS,
    onLine,
  });
}

/**
 * Builds a Dockerfile's last stage into a folder of the host.
 *
 * @throws AppError `image/build-failed` with the last lines of the build
 */
export async function buildFolder(
  host: Host,
  request: {
    /** Where the config asks for it. */
    readonly what: string;
    readonly context: string;
    /** The Dockerfile's text. */
    readonly recipe: string;
    readonly args: Readonly<Record<string, string>>;
    readonly folder: string;
  },
  onLine: OnLine,
): Promise<void> {
  const { what, context, recipe, args, folder } = request;
  await runBuild(host, what, {
    argv: [
      'docker',
      'buildx',
      'build',
      '--progress',
      'plain',
      '--output',
      `type=local,dest=${folder}`,
      '--file',
      '-',
      ...sortedArgs(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
      context,
    ],
    stdin: recipe,
    env: { BUILDX_CONFIG },
    timeoutSeconds: BUILD_SECONDS,
    onLine,
  });
}

async function runBuild(host: Host, what: string, command: Command): Promise<void> {
  try {
    await host.run(command);
  } catch (error) {
    if (!(error instanceof CommandError) || error.reason !== 'exit') throw error;
    throw new AppError({
      code: 'image/build-failed',
      what: `${what} could not be built`,
      why: lastLines(error),
      hint: 'correct what the last lines say, then run the same holdfast command again: finished steps are kept',
      cause: error,
    });
  }
}

function lastLines(error: CommandError): string {
  const output = error.stderr.trim() === '' ? error.stdout : error.stderr;
  return output.trimEnd().split('\n').slice(-SHOWN_LINES).join('\n');
}
