import { isIP } from 'node:net';
import { AppError } from '../errors.ts';

/** nginx knows single addresses: a whole network is as many of them. */
const MOST_GUESTS = 256;

/**
 * Addresses as nginx writes them, from a list with commas of addresses and small IPv4 networks.
 * @throws AppError `usage/bad-network`
 */
export function guestAddresses(list: string): string[] {
  const words = list.split(',').map((text) => text.trim());
  const guests = words.filter((word) => word !== '').flatMap(addressesOf);
  if (guests.length > MOST_GUESTS) throw badNetwork(list, `more than ${MOST_GUESTS} addresses`);
  return [...new Set(guests)];
}

function addressesOf(text: string): string[] {
  const [address = '', prefix] = text.split('/');
  const version = isIP(address);
  if (version === 6 && (prefix === undefined || prefix === '128')) {
    return [new URL(`http://[${address}]`).hostname.slice(1, -1)];
  }
  const bits = Number(prefix ?? 32);
  if (version !== 4 || !/^\d*$/.test(prefix ?? '') || bits < 24 || bits > 32) {
    throw badNetwork(text, 'not an address, nor an IPv4 network of /24 or smaller');
  }
  const size = 2 ** (32 - bits);
  const value = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const first = Math.floor(value / size) * size;
  return Array.from({ length: size }, (_, index) => dotted(first + index));
}

function dotted(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

function badNetwork(text: string, why: string): AppError {
  return new AppError({
    code: 'usage/bad-network',
    what: `--allow-from ${text} cannot be used`,
    why,
    hint: 'holdfast maintenance on --allow-from 198.51.100.7,203.0.113.0/28',
  });
}
