import { AppError } from '../errors.ts';

/** What one key may do. */
export interface DeployRights {
  readonly name: string;
  /** At least one. */
  readonly services: readonly string[];
  /** Repositories, or beginnings of repositories that end in `/`. None: any image. */
  readonly images: readonly string[];
}

const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const REPOSITORY = /^[a-z0-9][a-z0-9._/:-]*$/;

/**
 * Rights from the words of a command line. What passes holds no space, quote, comma or `$`, so that it stands
 * in a line of `authorized_keys` as it is, which sshd hands to a shell.
 * @throws AppError `usage/deploy-key`
 */
export function deployRights(
  name: string,
  services: string | undefined,
  images: string | undefined,
): DeployRights {
  const rights = { name, services: listed(services), images: listed(images) };
  const wrong =
    firstWrong('name', [name], NAME) ??
    firstWrong('service', rights.services, NAME) ??
    firstWrong('image', rights.images, REPOSITORY);
  if (wrong === undefined && rights.services.length > 0) return rights;
  throw new AppError({
    code: 'usage/deploy-key',
    what: wrong ?? 'the key may deploy nothing: no service is named',
    hint: 'holdfast deploy-key add ci key.pub --services api,web --images ghcr.io/acme/',
  });
}

/** Whether `image`, with its tag or digest, comes from a place that these rights name. */
export function mayDeployImage({ images }: Pick<DeployRights, 'images'>, image: string): boolean {
  if (images.length === 0) return true;
  const repository = image.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
  return images.some((allowed) =>
    allowed.endsWith('/') ? repository.startsWith(allowed) : repository === allowed,
  );
}

function listed(text: string | undefined): readonly string[] {
  return text === undefined || text === '' ? [] : text.split(',');
}

function firstWrong(what: string, values: readonly string[], rule: RegExp): string | undefined {
  const wrong = values.find((value) => !rule.test(value));
  return wrong === undefined
    ? undefined
    : `${JSON.stringify(wrong)} cannot be the ${what} of a key`;
}
