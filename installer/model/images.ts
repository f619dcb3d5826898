/** Platform parts that run as a container image of their own. */
export const PLATFORM_IMAGES = [
  'postgres',
  'redis',
  'nginx',
  'nginx-waf',
  'prometheus',
  'grafana',
  'node-exporter',
  'postgres-exporter',
  'redis-exporter',
  'nginx-exporter',
  'node',
] as const;
export type PlatformImage = (typeof PLATFORM_IMAGES)[number];

/** What a component wants: `version` is a minimum of the user's wish, such as `16`. */
export interface ImageNeed {
  readonly image: PlatformImage;
  readonly version?: string;
  readonly source: 'auto' | 'debian' | 'registry';
  /** An optional image that cannot be had leaves its component out with a notice instead of failing. */
  readonly optional?: boolean;
}

/** How an image is made present on the host. */
export type ImageAction =
  | { readonly kind: 'present' }
  | { readonly kind: 'bake'; readonly target: PlatformImage }
  | { readonly kind: 'pull' }
  | {
      readonly kind: 'build';
      readonly context: string;
      readonly dockerfile: string;
      readonly target?: string;
      readonly args: Readonly<Record<string, string>>;
    };

/** The outcome for one image of the stack. */
export interface ResolvedImage {
  /** What stands in the stack: `holdfast/postgres:17.6-0123456789ab` or `repo/name:tag@sha256:…`. */
  readonly reference: string;
  /** Upstream version such as `17.6`. */
  readonly version: string;
  readonly source: 'debian' | 'registry' | 'build';
  readonly action: ImageAction;
}

export interface UnavailableImage {
  readonly unavailable: string;
}

export interface ResolvedImages {
  readonly platform: Readonly<Partial<Record<PlatformImage, ResolvedImage | UnavailableImage>>>;
  /** By service name. */
  readonly services: Readonly<Record<string, ResolvedImage>>;
  /** Whether a registry answered, when it was asked. */
  readonly registryAnswers?: boolean;
}
