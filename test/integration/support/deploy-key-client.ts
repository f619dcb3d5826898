import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import type { Appliance, Ran } from '../../support/appliance.ts';
import { PACKAGE_ROOT } from '../../support/component-input.ts';
import { startSshd, type TestSshd } from '../../support/sshd.ts';

/** A machine of CI with a key of its own, and the sshd of a server that lets in whom `authorizedKeys` names. */
export interface CiClient {
  /** Its public key is at `${key}.pub`. */
  readonly key: string;
  readonly sshd: TestSshd;
  readonly ssh: (words: readonly string[], options?: readonly string[]) => Promise<Ran>;
}

export async function startCiClient(t: Test, { paths, root }: Appliance): Promise<CiClient> {
  const sshd = await startSshd(t, ['Subsystem sftp internal-sftp'], [paths.authorizedKeys]);
  const key = join(root, 'ci');
  await promisify(execFile)('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  const ssh: CiClient['ssh'] = (words, options = []) =>
    new Promise((resolve) => {
      const child = execFile(
        'ssh',
        [
          ...['-F', '/dev/null', '-i', key, '-p', String(sshd.port), '-o', 'IdentitiesOnly=yes'],
          ...['-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=accept-new'],
          ...['-o', `UserKnownHostsFile=${sshd.knownHostsFile}`, ...options],
          ...['root@127.0.0.1', ...words],
        ],
        (error, stdout, stderr) =>
          resolve({ exitCode: error === null ? 0 : Number(error.code), stdout, stderr }),
      );
      child.stdin?.end();
    });
  return { key, sshd, ssh };
}

/** What install.sh leaves for keys to run. */
export function writeLauncher({ paths, root }: Appliance): void {
  mkdirSync(dirname(paths.launcher), { recursive: true });
  const main = join(PACKAGE_ROOT, 'installer/cli/main.ts');
  writeFileSync(
    paths.launcher,
    `#!/bin/sh\nHOLDFAST_ROOT=${root} exec ${process.execPath} ${main} "$@"\n`,
  );
  chmodSync(paths.launcher, 0o755);
}
