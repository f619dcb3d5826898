import { AppError } from '../../errors.ts';
import type { ComponentInput } from '../component.ts';

/** Reference of the image of a service or an accessory. @throws AppError `image/unavailable` */
export function imageOf(
  input: ComponentInput,
  section: 'services' | 'accessories',
  name: string,
): string {
  const image = input.images.services[name];
  if (image !== undefined) return image.reference;
  throw new AppError({
    code: 'image/unavailable',
    what: `The image of ${section}.${name} was not resolved`,
    hint: 'Run `holdfast plan` again.',
  });
}
