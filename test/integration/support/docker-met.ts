import type { Output } from './docker.ts';
import type { Machine } from './machine.ts';

/**
 * Runs a program on a machine, where something happens just when the program calls docker with certain words.
 * @param at.words pattern of a shell's `case` for the arguments
 * @param at.instead shell script; what follows it is docker itself, unless it exits
 */
export async function withDockerMet(
  machine: Machine,
  at: { readonly words: string; readonly instead: string },
  argv: readonly string[],
): Promise<Output & { readonly happened: boolean }> {
  const wrapper = `#!/bin/sh
case "$*" in
  ${at.words})
    if mkdir /root/met/happened 2>/dev/null; then
      ${at.instead}
    fi ;;
esac
exec /usr/bin/docker "$@"
`;
  const put =
    'rm -rf /root/met && mkdir /root/met && printf %s "$1" >/root/met/docker && chmod 755 /root/met/docker';
  await machine.exec('sh', '-c', put, 'sh', wrapper);
  const path = '/root/met:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const output = await machine.exec('env', `PATH=${path}`, ...argv);
  const { code } = await machine.exec('test', '-d', '/root/met/happened');
  return { ...output, happened: code === 0 };
}
