/** Labels on every Docker object that holdfast creates. */
export const LABELS = {
  /** `config.project`; tells two stacks on one engine apart. */
  project: 'io.holdfast.project',
  component: 'io.holdfast.component',
  /** sha256 of the stack service that the container was created from. */
  spec: 'io.holdfast.spec',
} as const;
