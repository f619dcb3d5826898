import { resolve } from 'node:path';

/** Runs test files in one process; each of them must leave nothing behind in it. */
const files = process.argv.slice(2).map((file) => resolve(file));
// tap names its fixtures by the command line.
process.argv = [...process.argv.slice(0, 1), ...files.slice(0, 1)];
for (const file of files) await import(file);
