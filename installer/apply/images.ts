import { removeImage } from '../engine/images.ts';
import type { Operation } from '../model/operation.ts';
import type { Run } from './run.ts';

type OperationOf<Kind extends Operation['kind']> = Extract<Operation, { kind: Kind }>;

/** The operations that bring images and releases of sites: they run before validation and touch nothing that runs. */
const BRINGING: readonly Operation['kind'][] = [
  'bake-images',
  'pull-image',
  'build-image',
  'make-release',
];

export function isBringing({ kind }: Operation): boolean {
  return BRINGING.includes(kind);
}

export async function bakeImages(run: Run, operation: OperationOf<'bake-images'>): Promise<void> {
  await declare(run, operation.references);
  await run.images.bake(operation.targets, operation.references, (base) => declare(run, [base]));
}

export async function pullImage(run: Run, operation: OperationOf<'pull-image'>): Promise<void> {
  await declare(run, [operation.reference]);
  await run.images.pull(operation.reference);
}

export async function buildImage(run: Run, operation: OperationOf<'build-image'>): Promise<void> {
  const action = run.desired.images.get(operation.reference);
  if (action?.kind !== 'build') {
    throw new Error(`nothing says how ${operation.reference} is built`);
  }
  await declare(run, [operation.reference]);
  await run.images.build(operation.reference, action, operation.service);
}

/** On record before they are there, so that a kill leaves no image that nobody would remove. */
async function declare({ manifest }: Run, references: readonly string[]): Promise<void> {
  const { images, generation } = manifest.current;
  const next = references.map((reference) => [reference, generation + 1] as const);
  await manifest.update({ images: { ...images, ...Object.fromEntries(next) } });
}

/** An image that any container of this engine uses, of ours or not, running or stopped, stays on record. */
export async function removeImages(
  { host, engine, manifest }: Run,
  { references }: OperationOf<'remove-images'>,
): Promise<void> {
  const used = new Set((await engine.containers({})).map(({ imageId }) => imageId));
  const gone: string[] = [];
  for (const reference of references) {
    const image = await engine.image(reference);
    if (image !== undefined && used.has(image.id)) continue;
    // 1: a container took it meanwhile. The name alone goes where an image has others.
    if (image !== undefined) await host.run({ ...removeImage(reference), okExitCodes: [0, 1] });
    if ((await engine.image(reference)) === undefined) gone.push(reference);
  }
  const left = Object.entries(manifest.current.images).filter(([name]) => !gone.includes(name));
  await manifest.update({ images: Object.fromEntries(left) });
}
