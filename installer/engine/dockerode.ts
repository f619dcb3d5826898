import { createRequire, registerHooks } from 'node:module';
import type Docker from 'dockerode';

/**
 * What dockerode loads for BuildKit sessions and for engines over SSH of its own: neither is used here (buildx builds,
 * and an engine elsewhere is reached through a socket that `agent` makes). It is two thirds of all that dockerode
 * loads: 110 ms and 11 MiB of every command.
 */
const UNUSED: ReadonlySet<string> = new Set([
  '@grpc/grpc-js',
  '@grpc/proto-loader',
  'protobufjs',
  'ssh2',
]);
const NOTHING = 'file:///nothing.cjs';

/** dockerode, without those parts. */
export const Dockerode = load();

function load(): typeof Docker {
  const hooks = registerHooks({
    resolve: (specifier, context, next) =>
      UNUSED.has(specifier)
        ? { url: NOTHING, format: 'commonjs', shortCircuit: true }
        : next(specifier, context),
    load: (url, context, next) =>
      url === NOTHING
        ? { format: 'commonjs', source: 'module.exports = {};', shortCircuit: true }
        : next(url, context),
  });
  try {
    return createRequire(import.meta.url)('dockerode') as typeof Docker;
  } finally {
    hooks.deregister();
  }
}
