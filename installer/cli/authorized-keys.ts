import { createHash } from 'node:crypto';
import { AppError } from '../errors.ts';
import { type DeployRights, deployRights } from './deploy-key-rights.ts';

/** A public key as `authorized_keys` holds it. */
export interface PublicKey {
  readonly type: string;
  /** Base64. */
  readonly blob: string;
}

export interface DeployKey {
  readonly rights: DeployRights;
  readonly key: PublicKey;
}

const TYPES = [
  'ssh-ed25519',
  'ssh-rsa',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
];
const MARK = 'holdfast-deploy:';
const OURS =
  /^command="\S+ deploy-key serve (\S+) --services (\S+?)(?: --images (\S+))?",restrict (\S+) (\S+) holdfast-deploy:(\S+)$/;

/**
 * The one key of a `.pub` file; its comment is dropped.
 * @throws AppError `usage/public-key`, which never repeats what was given: it may be the private half
 */
export function readPublicKey(text: string): PublicKey {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const [type = '', blob = ''] = (lines[0] ?? '').trim().split(/\s+/);
  if (text.includes('PRIVATE KEY')) throw noPublicKey('it is a private key');
  if (lines.length !== 1) throw noPublicKey(`it has ${lines.length} lines`);
  if (!TYPES.includes(type)) throw noPublicKey(`it does not begin with ${TYPES.join(', ')}`);
  const bytes = Buffer.from(blob, 'base64');
  const isWhole =
    bytes.toString('base64') === blob &&
    bytes.length > 4 + type.length &&
    bytes.readUInt32BE(0) === type.length &&
    bytes.toString('latin1', 4, 4 + type.length) === type;
  if (!isWhole) throw noPublicKey('its second word is no key of that type');
  return { type, blob };
}

/** A line that lets the key run one program, without terminal, forwarding or start-up files. */
export function deployKeyLine(launcher: string, { rights, key }: DeployKey): string {
  const { name, services, images } = rights;
  const only = images.length === 0 ? '' : ` --images ${images.join(',')}`;
  const program = `${launcher} deploy-key serve ${name} --services ${services.join(',')}${only}`;
  return `command="${program}",restrict ${key.type} ${key.blob} ${MARK}${name}`;
}

/** Our key of one line; undefined for what others wrote. */
export function parseDeployKey(line: string): DeployKey | undefined {
  const [, name, services, images, type = '', blob = '', mark] = OURS.exec(line.trim()) ?? [];
  if (name === undefined || name !== mark) return undefined;
  return { rights: deployRights(name, services, images), key: { type, blob } };
}

/** Whether the line lets this key in. */
export function holdsKey(line: string, { blob }: PublicKey): boolean {
  return !line.trim().startsWith('#') && line.split(/\s+/).includes(blob);
}

/** As `ssh-keygen -l` shows it. */
export function fingerprint({ blob }: PublicKey): string {
  const digest = createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}

function noPublicKey(why: string): AppError {
  return new AppError({
    code: 'usage/public-key',
    what: 'this is no SSH public key',
    why,
    hint: 'ssh-keygen -t ed25519 -f deploy-key, then give the file deploy-key.pub',
  });
}
