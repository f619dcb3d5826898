import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { CommandResult } from '../../installer/host/host.ts';
import type { Call, MemoryHost } from '../support/memory-host.ts';

/** Bytes that `df` reports as free. */
export interface Disk {
  freeBytes: number;
}

/** The programs of a Debian machine that apply runs, over the files of a MemoryHost. */
export function installCoreutils(host: MemoryHost): Disk {
  const disk: Disk = { freeBytes: 50 * 1024 ** 3 };
  const looks = { looks: true };
  host.on(['uname', '-m'], () => ({ stdout: 'x86_64\n' }), looks);
  host.on(['pgrep'], () => ({ exitCode: 1 }), looks);
  host.on(['nproc'], () => ({ stdout: '2\n' }), looks);
  host.on(['sha256sum'], (call) => sha256sum(host, call), looks);
  host.on(['stat'], (call) => stat(host, call), looks);
  host.on(
    ['tail', '--bytes'],
    ({ argv }) => ({ stdout: host.files.text(argv[3] ?? '') ?? '' }),
    looks,
  );
  host.on(['df'], () => ({ stdout: `      Avail Mounted on\n${disk.freeBytes} /\n` }), looks);
  host.on(['dd'], (call) => append(host, call));
  host.on(['mv', '--no-target-directory'], ({ rest }) =>
    moveFolder(host, rest[0] ?? '', rest[1] ?? ''),
  );
  host.on(['ln', '--no-target-directory'], ({ rest }) => link(host, rest[0] ?? '', rest[1] ?? ''));
  host.on(['flock'], (call) => swapUnderLock(host, call));
  const proc = { mode: 0o444, uid: 0, gid: 0 };
  host.files.write('/proc/meminfo', Buffer.from('MemTotal:        4194304 kB\n'), proc);
  host.files.write('/proc/sys/kernel/random/boot_id', Buffer.from('boot-1\n'), proc);
  host.files.write('/proc/1/stat', Buffer.from(`1 (systemd) S ${'0 '.repeat(18)}7 0\n`), proc);
  host.files.write(
    '/etc/os-release',
    Buffer.from('PRETTY_NAME="Debian GNU/Linux 13"\nVERSION_ID="13"\nID=debian\n'),
    { mode: 0o644, uid: 0, gid: 0 },
  );
  host.files.makeDirectory('/run/systemd/system', { mode: 0o755, uid: 0, gid: 0 });
  return disk;
}

/** The compare-and-swap of `installer/engine/edge-state.ts`, whose real script has a test of its own. */
function swapUnderLock(host: MemoryHost, { argv, stdin }: Call): Partial<CommandResult> {
  const [path = '', expected, wanted] = argv.slice(-3);
  const before = host.files.read(path);
  const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  if ((before === undefined ? 'absent' : digest(before)) !== expected) return { exitCode: 75 };
  if (digest(stdin) !== wanted) return { exitCode: 75 };
  host.files.write(path, stdin, { mode: 0o644, uid: 0, gid: 0 });
  return {};
}

function pathsAfterDashes({ argv }: Call): readonly string[] {
  return argv.slice(argv.indexOf('--') + 1);
}

function sha256sum(host: MemoryHost, call: Call): Partial<CommandResult> {
  let stdout = '';
  let exitCode = 0;
  for (const path of pathsAfterDashes(call)) {
    const found = host.files.stat(path);
    const content = found?.type === 'file' ? host.files.read(path) : undefined;
    if (content === undefined) exitCode = 1;
    else stdout += `${createHash('sha256').update(content).digest('hex')}  ${path}\0`;
  }
  return { stdout, exitCode };
}

function stat(host: MemoryHost, call: Call): Partial<CommandResult> {
  let stdout = '';
  let exitCode = 0;
  for (const path of pathsAfterDashes(call)) {
    const found = host.files.stat(path);
    if (found === undefined) {
      exitCode = 1;
      continue;
    }
    const format = found.type === 'directory' ? 0o040000 : 0o100000;
    const raw = (format | found.mode).toString(16);
    stdout += `${raw} ${found.uid} ${found.gid} ${found.size} ${path}\0`;
  }
  return { stdout, exitCode };
}

function append(host: MemoryHost, { argv, stdin }: Call): undefined {
  const path = argv.find((word) => word.startsWith('of='))?.slice(3) ?? '';
  const before = host.files.read(path) ?? Buffer.alloc(0);
  const { mode = 0o644, uid = 0, gid = 0 } = host.files.stat(path) ?? {};
  host.files.write(path, Buffer.concat([before, stdin]), { mode, uid, gid });
}

/** link(2); the files of a MemoryHost are never changed in place, so that a copy is as good as a second name. */
function link(host: MemoryHost, from: string, to: string): Partial<CommandResult> {
  const source = host.files.stat(from);
  if (source === undefined) return { exitCode: 1, stderr: `ln: failed to access '${from}'` };
  if (host.files.stat(to) !== undefined) {
    return { exitCode: 1, stderr: `ln: failed to create hard link '${to}': File exists` };
  }
  host.files.write(to, host.files.read(from) ?? Buffer.alloc(0), source);
  return {};
}

/** rename(2) of a folder: takes the place of an empty one, never of one with content. */
function moveFolder(host: MemoryHost, from: string, to: string): Partial<CommandResult> {
  const source = host.files.stat(from);
  if (source === undefined) return { exitCode: 1, stderr: `mv: cannot stat '${from}'` };
  if (host.files.list(to).length > 0) {
    return { exitCode: 1, stderr: `mv: cannot move '${from}' to '${to}': Directory not empty` };
  }
  host.files.remove(to, true);
  const { mode, uid, gid } = source;
  host.files.makeDirectory(to, { mode, uid, gid });
  for (const name of host.files.list(from)) {
    const path = posix.join(from, name);
    const file = host.files.stat(path);
    if (file?.type !== 'file') continue;
    host.files.write(posix.join(to, name), host.files.read(path) ?? Buffer.alloc(0), file);
  }
  host.files.remove(from, true);
  return {};
}
