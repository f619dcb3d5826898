/*
 * What a container puts out is also kept by the engine, in the clear and in full, on the disk of the system. Whatever
 * is run by hand says what becomes of that; the services of the stack have a bound in compose.yaml.
 */

/** Options of `docker run` where somebody is attached, who hears all of it without a log too. */
export const WITHOUT_LOG = ['--log-driver', 'none'] as const;

/** Options of `docker run` for a server whose last words are asked of `docker logs`, which not every driver answers. */
export const WITH_SHORT_LOG = [
  ...['--log-driver', 'json-file'],
  ...['--log-opt', 'max-size=10m'],
  ...['--log-opt', 'max-file=1'],
] as const;
