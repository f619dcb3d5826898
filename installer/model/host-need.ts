/** A host name that nginx is to answer, which takes a certificate. */
export interface HostNeed {
  readonly host: string;
  /** The key of the config that brings it in, such as `services.api.routes`. */
  readonly usedBy: string;
  /** Nobody wrote the name: it follows from `domain`, and may lead nowhere. */
  readonly isUnasked?: true;
}
