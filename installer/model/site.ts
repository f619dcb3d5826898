/** Where the files of a release come from. Paths are absolute, on the machine that runs the command. */
export type SiteSource =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'archive'; readonly path: string }
  /** A folder of a pinned image. */
  | { readonly kind: 'image'; readonly image: string; readonly folder: string }
  | {
      readonly kind: 'build';
      readonly context: string;
      /** A Dockerfile whose last stage holds the finished files at its root. */
      readonly recipe: string;
      readonly args: Readonly<Record<string, string>>;
      /** The image that it builds in. */
      readonly image: string;
    };

/** A release that was found before anything is rendered: its content decides its name. */
export interface SiteRelease {
  /** Hexadecimal digest of the content, or of all that a build depends on. */
  readonly release: string;
  readonly source: SiteSource;
}

/** The files that a site shall show. */
export interface DesiredSite extends SiteRelease {
  readonly name: string;
  /** Old releases that stay. */
  readonly keep: number;
  /** Image with the programs that compress text. */
  readonly toolImage: string;
}

/** What stands of a site on a server. */
export interface ObservedSite {
  /** The release that nginx serves. */
  readonly current: string | undefined;
  /** The release that was served before. */
  readonly previous: string | undefined;
  /** The release that somebody rolled back from: it is not switched to again. */
  readonly held: string | undefined;
  /** Complete releases, the one that was last made or served first. */
  readonly releases: readonly string[];
}

/** How nginx serves a site on one of its hosts. */
export interface SiteHost {
  readonly site: string;
  readonly host: string;
  /** All other paths of this host lead to the same path of that one. */
  readonly redirectTo: string | undefined;
  readonly spa: boolean;
  /** Values of Cache-Control. */
  readonly cache: {
    readonly html: string;
    readonly assets: string;
    readonly default: string;
  };
  readonly downloads:
    | { readonly path: string; readonly volume: string; readonly cache: string }
    | undefined;
}
