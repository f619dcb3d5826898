/**
 * Node's own modules, without the namespace objects of `import`: those read every lazy export once, which
 * loads fetch, WebSocket and more into a process that shall stay at tens of MiB (measured: 14 MB for
 * `node:http` alone).
 */
export const fs = process.getBuiltinModule('node:fs');
export const net = process.getBuiltinModule('node:net');
export const childProcess = process.getBuiltinModule('node:child_process');
