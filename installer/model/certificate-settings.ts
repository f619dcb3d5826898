/** Certificates that a public authority signs, as applied; rendered to `stack/agent/certificates.json`. */
export interface CertificateSettings {
  readonly version: 1;
  /** `private`: the authority of this server, for every host; `files`: given, and renewed elsewhere. */
  readonly source: 'acme' | 'private' | 'files';
  /** With source acme. */
  readonly acme?: AcmeSettings;
}

export interface AcmeSettings {
  /** URL of the ACME directory. */
  readonly directory: string;
  /** Absolute path of a PEM file with the authority that signed the ACME server itself. */
  readonly caFile?: string;
  /** Mail address of the account. */
  readonly contact?: string;
  /** External account binding: who the account belongs to at the authority. */
  readonly eab?: { readonly keyId: string; readonly secret: string };
  /** How a name is proved; http-01 when absent. */
  readonly dns?: DnsSettings;
  /** Requests reach this server through a proxy of its owner: its names need not lead here directly. */
  readonly proxied: boolean;
  /** Look before asking whether a proof can succeed. */
  readonly precheck: boolean;
  readonly certificates: readonly WantedCertificate[];
}

export interface WantedCertificate {
  /** Name of its file; the first of its hosts. */
  readonly name: string;
  /** Every name in the certificate; a wildcard as `*.example.com`. */
  readonly hosts: readonly string[];
  /** Nobody wrote the name: it is asked for once it leads here, and its absence is no failure. */
  readonly isUnasked?: true;
}

/** Where TXT records are written, by names of secrets. */
export type DnsSettings =
  | { readonly kind: 'cloudflare'; readonly tokenSecret: string }
  | {
      readonly kind: 'route53';
      readonly accessKeyIdSecret: string;
      readonly secretAccessKeySecret: string;
    }
  | {
      readonly kind: 'ovh';
      readonly secretRef: string;
      readonly applicationKeySecret: string;
      readonly applicationSecretSecret: string;
      readonly consumerKeySecret: string;
      /** Host of the API: the account belongs to one of their three. */
      readonly server: string;
    }
  | {
      readonly kind: 'rfc2136';
      /** Address of the primary name server; port 53 when not written behind a colon. */
      readonly server: string;
      readonly keyName: string;
      readonly algorithm: TsigAlgorithm;
      /** Base64, as `tsig-keygen` prints it. */
      readonly keySecret: string;
    };

export type TsigAlgorithm = 'hmac-sha256' | 'hmac-sha384' | 'hmac-sha512';

/** Path below `paths.stack`. */
export const CERTIFICATE_SETTINGS = 'agent/certificates.json';
