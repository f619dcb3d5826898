import { join } from 'node:path';
import { imageNeed } from '../components/platform-image.ts';
import type { Config } from '../components/sections.ts';
import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { ServiceImage } from '../images/services.ts';
import type { ImageNeed } from '../model/images.ts';
import type { LockFile } from '../model/lock-file.ts';
import { certificatesIn } from '../tls/certificate-pair.ts';
import type { LoadedConfig } from './read-config.ts';

/** Services and accessories share their names. */
function containersOf({ services, accessories }: Config) {
  return [...Object.values(services), ...Object.values(accessories)];
}

/** What the config says of the image of each container; what was built elsewhere is taken as it is. */
export function serviceImages({
  config,
  pathOf,
  isKept,
}: LoadedConfig): Record<string, ServiceImage> {
  return Object.fromEntries(
    containersOf(config).map(({ name, image, build }) => {
      if (build === undefined) return [name, { image: image ?? '' }];
      if (isKept) return [name, { built: 'before' } as const];
      return [name, { build: { ...build, context: pathOf(build.context) } }];
    }),
  );
}

/** A Dockerfile that takes our Node image as its base makes us build that image; others do not. */
export async function builtOnNode(
  sources: Host,
  { config, pathOf, isKept }: LoadedConfig,
  { images }: LockFile,
): Promise<ImageNeed[]> {
  const node = imageNeed(config, 'node');
  if (isKept) return images['node'] === undefined ? [] : [node];
  for (const { build } of containersOf(config)) {
    if (build === undefined) continue;
    // One that is missing is reported when the image is resolved.
    const dockerfile = join(pathOf(build.context), build.dockerfile ?? 'Dockerfile');
    const text = new TextDecoder().decode(await sources.read(dockerfile));
    if (text.includes('HOLDFAST_NODE_IMAGE')) return [node];
  }
  return [];
}

/** Texts of the seed files, by service. @throws AppError `config/no-seed-file` */
export async function readSeeds(
  sources: Host,
  { config, pathOf }: LoadedConfig,
): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (const { name, seed } of Object.values(config.services)) {
    if (seed === undefined) continue;
    const path = pathOf(seed.file);
    const found = await sources.stat(path);
    const bytes = found?.type === 'file' ? await sources.read(path) : undefined;
    if (bytes === undefined) {
      throw new AppError({
        code: 'config/no-seed-file',
        what: `services.${name}.seed.file: cannot read ${path}`,
        why: found === undefined ? 'there is no such file' : 'it is no file',
        hint: 'correct the path, which starts from the folder of the config file',
      });
    }
    texts.set(name, new TextDecoder().decode(bytes));
  }
  return texts;
}

/**
 * PEM of the authority that signed the ACME server itself; undefined where the config names none.
 * @throws AppError `config/acme-ca-file`
 */
export async function readAcmeAuthority(
  sources: Host,
  { config: { tls }, pathOf }: LoadedConfig,
): Promise<string | undefined> {
  if (tls.caFile === undefined) return undefined;
  const path = pathOf(tls.caFile);
  const bytes = await sources.read(path);
  const text = new TextDecoder().decode(bytes);
  const why = bytes === undefined ? 'there is no such file' : wrongAuthority(text);
  if (why === undefined) return text;
  throw new AppError({
    code: 'config/acme-ca-file',
    what: `tls.caFile: ${path} cannot be used`,
    why,
    hint: 'correct the path, which starts from the folder of the config file, or the PEM file that stands there',
  });
}

function wrongAuthority(pem: string): string | undefined {
  // A key in it would be readable to all.
  if (pem.includes('PRIVATE KEY')) return 'it holds a private key';
  try {
    return certificatesIn(pem).length > 0 ? undefined : 'it holds no PEM certificate';
  } catch {
    return 'a certificate in it is damaged';
  }
}
