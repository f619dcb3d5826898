/**
 * Which files on the server are ours, and what an interrupted apply still owes.
 * It never says what is true: observation does.
 */
export interface Manifest {
  readonly version: 1;
  /** sha256 of what we wrote, by absolute path. */
  readonly files: Readonly<Record<string, string>>;
  /** sha256 of content that was about to be written when we were last interrupted, by absolute path. */
  readonly intents: Readonly<Record<string, string>>;
  /** Reactions that were caused by a written file and not finished yet, by key of the reaction. */
  readonly pending: readonly string[];
  /** Digest that ran last, by provision id. */
  readonly provisions: Readonly<Record<string, string>>;
  /**
   * Images that we pulled or built and that were not removed since, with the last generation that used each.
   * What was there before us is not among them.
   */
  readonly images: Readonly<Record<string, number>>;
  /** Counts applied configs. */
  readonly generation: number;
  readonly configDigest?: string;
}

export const EMPTY_MANIFEST: Manifest = {
  version: 1,
  files: {},
  intents: {},
  pending: [],
  provisions: {},
  images: {},
  generation: 0,
};
