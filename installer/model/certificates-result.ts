/** How the certificates of the public authority stand, at `paths.agent/results/certificates.json`. */
export interface CertificatesResult {
  readonly version: 1;
  readonly certificates: readonly {
    readonly name: string;
    /** The last attempt worked, or none was due. */
    readonly ok: boolean;
  }[];
}

/** File below the results folder. */
export const CERTIFICATES_RESULT = 'certificates.json';
