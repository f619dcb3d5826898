import type { FileSpec } from '../../model/contribution.ts';
import type { Secret } from '../../model/secret.ts';
import type { ComponentInput } from '../component.ts';
import { secretPath } from './container.ts';

/**
 * Readable by every user inside the container, since an image may step down to any; on the host, the folder
 * above (0700, root) keeps everyone else out. See docs/decisions/secret-files.md.
 */
export function secretFile(
  input: ComponentInput,
  component: 'services' | 'accessories',
  service: string,
  name: string,
  value: Secret,
): FileSpec {
  return {
    path: secretPath(input, service, name),
    component,
    content: { text: value.reveal() },
    mode: 0o444,
    secret: true,
    onChange: [{ kind: 'restart', service }],
  };
}
