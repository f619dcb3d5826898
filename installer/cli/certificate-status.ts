import { X509Certificate } from 'node:crypto';
import { AcmeState } from '../acme/state.ts';
import type { Host } from '../host/host.ts';
import type { AgentSettings } from '../model/agent-settings.ts';
import type { Paths } from '../model/paths.ts';
import { certificateSettings } from './certificates.ts';

const DAY = 86_400_000;
/** What has less than this share of its life left, and less than these days, was due long ago. */
const WARNING_SHARE = 1 / 5;
const WARNING_DAYS = 14;

/** A host's certificate as it is on the disk beside nginx. */
export interface CertificateStatus {
  readonly name: string;
  readonly daysLeft: number;
  /** Common name, or organisation, of who signed it. */
  readonly issuer: string;
  /** Near its end, although it should have been renewed. */
  readonly isLate: boolean;
}

/** A certificate that the public authority did not give at the last attempt. */
export interface CertificateProblem {
  readonly name: string;
  readonly code: string;
  readonly what: string;
  readonly why?: string;
  readonly hint: string;
}

export async function certificateStatus(
  host: Host,
  certificates: AgentSettings['certificates'],
  now: Date,
): Promise<CertificateStatus[]> {
  const read = await Promise.all(
    certificates.map(async ({ name, path }) => {
      const pem = await host.read(path);
      if (pem === undefined) return [];
      const { validFromDate, validToDate, issuer } = new X509Certificate(pem);
      const left = validToDate.getTime() - now.getTime();
      const life = validToDate.getTime() - validFromDate.getTime();
      return [
        {
          name,
          daysLeft: Math.floor(left / DAY),
          issuer: signer(issuer),
          isLate: left < Math.min(WARNING_DAYS * DAY, life * WARNING_SHARE),
        },
      ];
    }),
  );
  return read.flat();
}

function signer(issuer: string): string {
  const part = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(issuer)?.[1];
  const organisation = part('O');
  return [organisation, part('CN')].filter((name) => name !== undefined).join(' ');
}

/** What went wrong with the certificates that a public authority shall sign. */
export async function certificateProblems(
  host: Host,
  paths: Paths,
  now: Date,
): Promise<CertificateProblem[]> {
  const { acme } = await certificateSettings(host, paths);
  if (acme === undefined) return [];
  const state = await AcmeState.read(host, paths, acme.directory, now.getTime());
  return acme.certificates.flatMap(({ name }) => {
    const { problem } = state.of(name);
    if (problem === undefined) return [];
    const { code, what, why, hint } = problem;
    return [{ name, code, what, hint, ...(why === undefined ? {} : { why }) }];
  });
}
