import { createPrivateKey, type X509Certificate } from 'node:crypto';
import { posix } from 'node:path';
import { z } from 'zod';
import type { Host } from '../host/host.ts';
import type { Paths } from '../model/paths.ts';
import { Secret } from '../model/secret.ts';
import { type CertificatePair, certificatesIn, covers } from './certificate-pair.ts';

/** A certificate that a public authority signed. */
export interface PublicCertificate {
  readonly name: string;
  /** URL of the ACME directory that gave it. */
  readonly directory: string;
  readonly pair: CertificatePair;
  readonly leaf: X509Certificate;
}

const StoredSchema = z.object({
  version: z.literal(1),
  directory: z.string(),
  /** PEM, the certificate itself first. */
  certificate: z.string(),
  /** PEM. */
  key: z.string(),
});

function folder(paths: Paths): string {
  return posix.join(paths.tls, 'acme', 'certificates');
}

/** What is stored and can be used, by name; what is damaged counts as not there. */
export async function readPublicCertificates(
  host: Host,
  paths: Paths,
): Promise<ReadonlyMap<string, PublicCertificate>> {
  const names = (await host.list(folder(paths)))
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length));
  const read = await Promise.all(names.map((name) => readOne(host, paths, name)));
  return new Map(
    read.flatMap((certificate) =>
      certificate === undefined ? [] : [[certificate.name, certificate] as const],
    ),
  );
}

async function readOne(
  host: Host,
  paths: Paths,
  name: string,
): Promise<PublicCertificate | undefined> {
  const bytes = await host.read(posix.join(folder(paths), `${name}.json`));
  if (bytes === undefined) return undefined;
  try {
    const { directory, certificate, key } = StoredSchema.parse(
      JSON.parse(new TextDecoder().decode(bytes)),
    );
    const leaf = leafOf({ certificate, key: new Secret(key) });
    return leaf && { name, directory, pair: { certificate, key: new Secret(key) }, leaf };
  } catch {
    // Asked for again; the cause may quote the key.
    return undefined;
  }
}

/** The certificate of a pair; undefined when the key is another one's. */
export function leafOf({ certificate, key }: CertificatePair): X509Certificate | undefined {
  const [leaf] = certificatesIn(certificate);
  return leaf?.checkPrivateKey(createPrivateKey(key.reveal())) === true ? leaf : undefined;
}

/** Key and certificate in one file, so that no kill can leave two that do not fit each other. */
export async function storePublicCertificate(
  host: Host,
  paths: Paths,
  name: string,
  directory: string,
  { certificate, key }: CertificatePair,
): Promise<void> {
  await host.makeDirectory(folder(paths), { mode: 0o700, uid: 0, gid: 0 });
  const stored: z.input<typeof StoredSchema> = {
    version: 1,
    directory,
    certificate,
    key: key.reveal(),
  };
  await host.write(posix.join(folder(paths), `${name}.json`), `${JSON.stringify(stored)}\n`, {
    mode: 0o600,
    uid: 0,
    gid: 0,
  });
}

/**
 * The best that is there for a host: from the authority of the config before others, then the one that
 * lasts longest. One that has ended is still better than none: browsers show the same warning for ours.
 */
export function publicPairFor(
  stored: Iterable<PublicCertificate>,
  host: string,
  directory: string,
): CertificatePair | undefined {
  const [best] = [...stored]
    .filter(({ leaf }) => covers(leaf, host))
    .sort(
      (a, b) =>
        Number(b.directory === directory) - Number(a.directory === directory) ||
        b.leaf.validToDate.getTime() - a.leaf.validToDate.getTime(),
    );
  return best?.pair;
}
