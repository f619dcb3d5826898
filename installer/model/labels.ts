/** Labels on every Docker object that holdfast creates. */
export const LABELS = {
  /** `config.project`; tells two stacks on one engine apart. */
  project: 'io.holdfast.project',
  component: 'io.holdfast.component',
  /** sha256 of the stack service that the container was created from. */
  spec: 'io.holdfast.spec',
  /** On containers of a product service: the service, and which of its two sets of containers this is. */
  service: 'io.holdfast.service',
  slot: 'io.holdfast.slot',
  /** On the container that answers while that of the named service is replaced. */
  standIn: 'io.holdfast.stand-in',
  /** On the container in which the named service's migration runs. */
  migration: 'io.holdfast.migration',
} as const;
