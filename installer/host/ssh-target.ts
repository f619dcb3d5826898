import { AppError } from '../errors.ts';

/** Where to log in, as a user writes it: `user@address`, `address`, with `:port` or as `[IPv6]:port`. */
export interface SshTarget {
  readonly user: string;
  readonly address: string;
  readonly port: number;
}

const TARGET =
  /^(?:([a-z_][a-z0-9_.-]*\$?)@)?(?:\[([0-9a-f:.]+)\]|([a-z0-9][a-z0-9.-]*))(?::(\d{1,5}))?$/i;

/** @throws AppError `usage/bad-host` */
export function parseSshTarget(text: string): SshTarget {
  const [, user = 'root', ipv6, name, port = '22'] = TARGET.exec(text) ?? [];
  const address = ipv6 ?? name;
  if (address !== undefined && Number(port) >= 1 && Number(port) <= 65_535) {
    return { user, address, port: Number(port) };
  }
  throw new AppError({
    code: 'usage/bad-host',
    what: `\`${text}\` is no server to log in to`,
    hint: 'write it as user@address, user@address:port or user@[IPv6]:port',
  });
}

/** How a server is called in `known_hosts`. */
export function knownHostsName({ address, port }: SshTarget): string {
  return port === 22 ? address : `[${address}]:${port}`;
}
