/** A bare Debian server to install on: a container with systemd and sshd, reached by ssh alone. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { quote } from '../../../installer/host/quote.ts';
import { type Cleaning, docker, type Output, outcome, until } from './docker.ts';

const run = promisify(execFile);
const here = new URL('../machine/', import.meta.url).pathname;
const repository = new URL('../../../', import.meta.url).pathname;

export class Machine {
  readonly name: string;
  readonly address: string;
  readonly keyFile: string;

  constructor(name: string, address: string, keyFile: string) {
    this.name = name;
    this.address = address;
    this.keyFile = keyFile;
  }

  /** The argv that runs a command on the machine. */
  ssh(...command: string[]): [string, ...string[]] {
    return [
      'ssh',
      ...[
        '-i',
        this.keyFile,
        '-o',
        'BatchMode=yes',
        '-o',
        'ConnectTimeout=3',
        '-o',
        'LogLevel=ERROR',
      ],
      ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
      `root@${this.address}`,
      quote(command),
    ];
  }

  /** Runs a command to its end, whatever its exit code. */
  exec(...command: string[]): Promise<Output> {
    return outcome(this.ssh(...command), 1_800);
  }

  /** Unpacks the repository's files, as a clone has them, into a folder there. */
  async copyRepository(folder: string): Promise<void> {
    const listed = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    const { stdout } = await run('git', ['-C', repository, ...listed], { maxBuffer: 1 << 26 });
    const tar = spawn(
      'tar',
      ['-cz', '-C', repository, '--null', '--ignore-failed-read', '-T', '-'],
      {
        stdio: ['pipe', 'pipe', 'ignore'],
      },
    );
    const unpack = ['sh', '-c', 'mkdir -p "$1" && tar -xz --no-same-owner -C "$1"', 'sh', folder];
    const [file, ...args] = this.ssh(...unpack);
    const ssh = spawn(file, args, { stdio: [tar.stdout, 'ignore', 'inherit'] });
    tar.stdin.end(stdout);
    const [code] = await once(ssh, 'close');
    if (code !== 0) throw new Error(`copying the repository to ${this.name}: ssh exited ${code}`);
  }

  /** Off without a word to anything inside, then on again. */
  async powerCut(): Promise<void> {
    await docker('kill', '--signal', 'KILL', this.name);
    await docker('start', this.name);
    await this.up();
  }

  async reboot(): Promise<void> {
    const before = await until(`${this.name} tells its boot`, 60, () => this.bootId());
    await this.exec('systemctl', 'reboot');
    await until(`${this.name} comes back`, 60, async () => {
      const now = await this.bootId();
      return now !== '' && now !== before;
    });
    await this.up();
  }

  /** Waits until systemd has started everything that it was to start; init scripts have when ssh answers. */
  async up(): Promise<void> {
    await until(`login on ${this.name}`, 60, async () => (await this.exec('true')).code === 0);
    await this.exec('systemctl', 'is-system-running', '--wait');
  }

  async remove(): Promise<void> {
    await outcome(['docker', 'rm', '-f', '-v', this.name]);
    await outcome(['docker', 'volume', 'rm', '-f', `${this.name}-docker`]);
  }

  /**
   * The kernel's own id is the outer machine's: the start of process 1, in ticks, tells one boot from another. The
   * times of its folder in /proc do not: they are those of the first look at it, and the kernel may forget that.
   */
  private async bootId(): Promise<string> {
    const { stdout } = await outcome(this.ssh('cut', '-d', ' ', '-f', '22', '/proc/1/stat'), 5);
    return stdout.trim();
  }
}

/** Starts a fresh server, with systemd or with init scripts only; it goes when the test ends, unless KEEP_FAILED asks to look at it. */
export async function startMachine(
  t: Cleaning,
  suite: 'bookworm' | 'trixie',
  name = `holdfast-test-${suite}-${process.pid}`,
  init: 'systemd' | 'scripts' = 'systemd',
): Promise<Machine> {
  const { code, stdout, stderr } = await outcome([`${here}run.sh`, name, suite, init], 900);
  const [, address, keyFile] = stdout.trim().split(' ');
  if (code !== 0 || address === undefined || keyFile === undefined) {
    await outcome(['docker', 'rm', '-f', '-v', name]);
    throw new Error(`machine ${name}: ${stderr.trim()}`);
  }
  const machine = new Machine(name, address, keyFile);
  t.teardown(async () => {
    if (!process.env['KEEP_FAILED']) await machine.remove();
  });
  await machine.up();
  return machine;
}
