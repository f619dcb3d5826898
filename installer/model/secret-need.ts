/** A secret that the config asks for by name. */
export interface SecretNeed {
  /** Capitals, digits and underscores. */
  readonly name: string;
  /** How to make one when it is absent; must be set by a person when this is absent. */
  readonly generate?:
    | { readonly kind: 'password' | 'hex'; readonly bytes: number }
    | { readonly kind: 'age-identity' };
  readonly optional: boolean;
  /** What asks for it, such as `services.api`. */
  readonly usedBy: string;
}
