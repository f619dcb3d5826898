import type { Operation } from '../model/operation.ts';
import type { Run } from './run.ts';

type OperationOf<Kind extends Operation['kind']> = Extract<Operation, { kind: Kind }>;

/** The operations that make images present: they run before validation and touch nothing that runs. */
const IMAGE_KINDS: readonly Operation['kind'][] = ['bake-images', 'pull-image', 'build-image'];

export function isImageOperation({ kind }: Operation): boolean {
  return IMAGE_KINDS.includes(kind);
}

export async function bakeImages(run: Run, operation: OperationOf<'bake-images'>): Promise<void> {
  await run.images.bake(operation.targets, operation.references);
}

export async function pullImage(run: Run, operation: OperationOf<'pull-image'>): Promise<void> {
  await run.images.pull(operation.reference);
}

export async function buildImage(run: Run, operation: OperationOf<'build-image'>): Promise<void> {
  const action = run.desired.images.get(operation.reference);
  if (action?.kind !== 'build') {
    throw new Error(`nothing says how ${operation.reference} is built`);
  }
  await run.images.build(operation.reference, action, operation.service);
}
