import { createHash } from 'node:crypto';
import type { Desired, DesiredFile } from '../../installer/model/desired.ts';
import { EMPTY_EDGE_STATE } from '../../installer/model/edge-state.ts';
import { EMPTY_LOCK } from '../../installer/model/lock-file.ts';
import { EMPTY_MANIFEST } from '../../installer/model/manifest.ts';
import type { Observed } from '../../installer/plan/observed.ts';

export function desiredFile(
  path: string,
  content: string,
  more: Partial<DesiredFile> = {},
): DesiredFile {
  return { path, content, mode: 0o644, uid: 0, gid: 0, secret: false, onChange: [], ...more };
}

/** A desired state with nothing in it but what a test adds. */
export function desiredWith(
  more: Partial<Desired> & { readonly fileList?: readonly DesiredFile[] },
): Desired {
  const { fileList = [], ...rest } = more;
  return {
    project: 'demo',
    files: new Map(fileList.map((file) => [file.path, file])),
    stack: { project: 'demo', services: {}, networks: {}, volumes: {} },
    specs: new Map(),
    images: new Map(),
    newSecrets: new Map(),
    reloads: {},
    validators: [],
    provisions: [],
    frontDoor: [],
    httpChecks: [],
    portChecks: [],
    migrations: [],
    sites: [],
    rolled: new Map(),
    standIns: [],
    directories: [],
    notices: [],
    lock: EMPTY_LOCK,
    configDigest: 'c0ffee',
    ...rest,
  };
}

/** A bare server, and what a test adds. */
export function observedWith(more: Partial<Observed> = {}): Observed {
  return {
    facts: {
      memoryBytes: 4 * 1024 ** 3,
      cores: 2,
      architecture: 'x64',
      distribution: { id: 'debian', version: '13' },
      systemd: true,
      nft: true,
      ssh: { ports: [22] },
      otherFirewalls: [],
      ipv6: false,
    },
    manifest: EMPTY_MANIFEST,
    lock: EMPTY_LOCK,
    secrets: new Map(),
    files: new Map(),
    directories: new Map(),
    edge: EMPTY_EDGE_STATE,
    containers: [],
    networks: [],
    volumes: [],
    appliedVolumes: [],
    sites: new Map(),
    standInLeft: false,
    images: new Map(),
    ...more,
  };
}

/** What is observed after `files` were written by us. */
export function observedFiles(files: readonly DesiredFile[]): Pick<Observed, 'files' | 'manifest'> {
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  return {
    files: new Map(
      files.map(({ path, content, mode, uid, gid, secret }) => [
        path,
        { sha256: hash(content), mode, uid, gid, ...(secret ? {} : { content }) },
      ]),
    ),
    manifest: {
      ...EMPTY_MANIFEST,
      files: Object.fromEntries(files.map(({ path, content }) => [path, hash(content)])),
    },
  };
}
