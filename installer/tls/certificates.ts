import { AppError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Notice } from '../model/contribution.ts';
import type { HostNeed } from '../model/host-need.ts';
import type { Paths } from '../model/paths.ts';
import { Secret } from '../model/secret.ts';
import { type CertificatePair, certificatesIn, covers } from './certificate-pair.ts';
import { checkGivenCertificate } from './given-files.ts';
import { certificatesNeeded, withCertificates } from './private-ca.ts';
import { authorityFile, readPrivateCa, storePrivateCa } from './private-ca-store.ts';
import { publicPairFor, readPublicCertificates } from './public-store.ts';

export interface CertificateRequest {
  /** Every host name that needs a certificate. */
  readonly hosts: readonly HostNeed[];
  /** The section `tls` of the config. */
  readonly tls: {
    readonly issuer: string;
    readonly files?: { readonly certificate: string; readonly key: string } | undefined;
  };
  /** Where `tls.files` are read: beside the config, on the machine that it stands on. */
  readonly files: { readonly host: Host; readonly pathOf: (written: string) => string };
  /** Name of the product; stands in the name of the private authority. */
  readonly project: string;
  /** URL of the ACME directory; absent where no public authority is asked. */
  readonly directory?: string;
  readonly now: Date;
  /** Whether what is due is made anew; true when absent. The agent does it every day. */
  readonly renews?: boolean;
}

export interface Certificates {
  /** By host name. */
  readonly pairs: ReadonlyMap<string, CertificatePair>;
  readonly notices: readonly Notice[];
  /**
   * Keeps what was made for this request. A plan does not call it; an apply does before its first
   * operation, so that the next plan finds the same certificates. May be called again after a kill.
   */
  readonly store: () => Promise<void>;
}

/**
 * A certificate for each host: the user's files, what a public authority gave, or the private authority of
 * this server, which also serves a host until its first public certificate is there.
 * Only looks; nothing is written before {@link Certificates.store}.
 * @throws AppError `config/tls-…` for given files, `host/private-ca` for a damaged authority
 */
export async function prepareCertificates(
  host: Host,
  paths: Paths,
  request: CertificateRequest,
): Promise<Certificates> {
  return request.tls.issuer === 'files'
    ? givenCertificates(host, paths, request)
    : signedCertificates(host, paths, { ...request, hosts: namesOf(request.hosts) });
}

function namesOf(needs: readonly HostNeed[]): string[] {
  return needs.map(({ host }) => host);
}

/** A name that nobody wrote may be missing in the files: the private authority signs for it. */
async function givenCertificates(
  server: Host,
  paths: Paths,
  request: CertificateRequest,
): Promise<Certificates> {
  const {
    hosts,
    tls,
    files: { host, pathOf },
    now,
    renews = true,
  } = request;
  if (tls.files === undefined) {
    throw new AppError({
      code: 'config/tls-files',
      what: '`tls.issuer: files` needs `tls.files`',
      hint: 'Name the certificate and the key under `tls.files` in config.yaml.',
    });
  }
  const read = async (name: string): Promise<string> => {
    const path = pathOf(name);
    const bytes = await host.read(path);
    if (bytes !== undefined) return new TextDecoder().decode(bytes);
    throw new AppError({
      code: 'config/tls-missing',
      what: `There is no file ${path} on ${host.name}`,
      why: '`tls.files` names it',
      hint: 'Put the file there, or correct the path in config.yaml; paths are relative to it.',
    });
  };
  const pair = {
    certificate: await read(tls.files.certificate),
    key: new Secret(await read(tls.files.key)),
  };
  // What is in force was checked when it came, and may have ended since.
  if (renews) {
    checkGivenCertificate(
      pair,
      hosts.filter(({ isUnasked }) => !isUnasked),
      now,
      tls.files,
    );
  }
  const [leaf] = certificatesIn(pair.certificate);
  const isCovered = (name: string): boolean => leaf !== undefined && covers(leaf, name);
  const covered = new Map(
    namesOf(hosts).flatMap((name) => (isCovered(name) ? [[name, pair] as const] : [])),
  );
  const others = namesOf(hosts).filter((name) => !isCovered(name));
  if (others.length === 0) return { pairs: covered, notices: [], store: async () => undefined };
  const signed = await signedCertificates(server, paths, { ...request, hosts: others });
  return { ...signed, pairs: new Map([...signed.pairs, ...covered]) };
}

/** As {@link prepareCertificates}, where the user gives no files. */
export async function signedCertificates(
  host: Host,
  paths: Paths,
  {
    hosts,
    project,
    directory,
    now,
    renews = true,
  }: Omit<CertificateRequest, 'files' | 'tls' | 'hosts'> & { readonly hosts: readonly string[] },
): Promise<Certificates> {
  const open = await publicPairs(host, paths, hosts, directory);
  const privateHosts = hosts.filter((name) => !open.has(name));
  const before = await readPrivateCa(host, paths);
  const needed = certificatesNeeded(before, privateHosts, now, renews);
  const after = await withCertificates(before, privateHosts, { now, name: project, renews });
  const pairs = hosts.flatMap((name) => {
    const pair = open.get(name) ?? after.leaves.get(name);
    return pair === undefined ? [] : [[name, pair] as const];
  });
  const later = directory === undefined ? '' : ', until the public one is there';
  return {
    pairs: new Map(pairs),
    notices: [
      ...needed.map(({ host: name, reason }) => ({
        code: 'certificate',
        text: `certificate of ${name}: ${REASONS[reason]}; signed by the private authority ${authorityFile(paths)}${later}`,
      })),
    ],
    store: () => storePrivateCa(host, paths, before, after),
  };
}

/** What public authorities gave, by host; nothing where none is to be used. */
async function publicPairs(
  host: Host,
  paths: Paths,
  hosts: readonly string[],
  directory: string | undefined,
): Promise<ReadonlyMap<string, CertificatePair>> {
  if (directory === undefined) return new Map();
  const stored = [...(await readPublicCertificates(host, paths)).values()];
  return new Map(
    hosts.flatMap((name) => {
      const pair = publicPairFor(stored, name, directory);
      return pair === undefined ? [] : [[name, pair] as const];
    }),
  );
}

const REASONS = {
  missing: 'new',
  unreadable: 'made anew, the stored one is damaged',
  'other-authority': 'made anew, the authority is another one',
  'wrong-name': 'made anew, the stored one has another name',
  renewal: 'renewed',
} as const;
