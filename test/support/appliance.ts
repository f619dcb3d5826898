import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { LABELS } from '../../installer/model/labels.ts';
import { pathsUnder } from '../../installer/model/paths.ts';
import { PACKAGE_ROOT } from './component-input.ts';

const run = promisify(execFile);

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Where the front door is looked for. */
  readonly address?: '127.0.0.1' | '::1';
}

/** An appliance of its own on this machine: another root folder, the real engine, the real ports. */
export class Appliance {
  readonly root: string;
  readonly configPath: string;

  private constructor(root: string, configPath: string) {
    this.root = root;
    this.configPath = configPath;
  }

  static async create(configPath: string): Promise<Appliance> {
    const root = await mkdtemp(join(tmpdir(), 'holdfast-'));
    const program = pathsUnder(root).program;
    mkdirSync(join(program, '..'), { recursive: true });
    symlinkSync(PACKAGE_ROOT, program);
    return new Appliance(root, configPath);
  }

  get paths() {
    return pathsUnder(this.root);
  }

  /** Starts the program as a person would. */
  start(argv: readonly string[]): ChildProcessByStdio<Writable, Readable, Readable> {
    return spawn(process.execPath, [join(PACKAGE_ROOT, 'installer/cli/main.ts'), ...argv], {
      env: { ...process.env, HOLDFAST_ROOT: this.root, NO_COLOR: '1' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }

  /** Runs the program as a person would; output is kept. */
  run(argv: readonly string[], stdin = ''): Promise<Ran> {
    const child = this.start(argv);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin.end(stdin);
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) =>
        resolve({
          exitCode: code ?? -1,
          stdout: Buffer.concat(out).toString('utf8'),
          stderr: Buffer.concat(err).toString('utf8'),
        }),
      );
    });
  }

  /** A request through the front door, trusting only the private authority. */
  ask(
    url: string,
    { method = 'GET', headers = {}, body, address = '127.0.0.1' }: Ask = {},
  ): Promise<Answer> {
    const family = address === '::1' ? 6 : 4;
    const ca = readFileSync(join(this.paths.tls, 'private-ca/ca.crt'));
    const { hostname } = new URL(url);
    return new Promise((resolve, reject) => {
      const outgoing = request(
        url,
        {
          method,
          ca,
          servername: hostname,
          agent: false,
          headers: {
            ...headers,
            ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
          },
          lookup: (_name, options, done) =>
            options.all === true ? done(null, [{ address, family }]) : done(null, address, family),
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.once('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: Buffer.concat(chunks).toString('utf8'),
            }),
          );
          response.once('error', reject);
        },
      );
      // A server that refuses a body may close while we still write.
      outgoing.once('error', reject);
      outgoing.end(body);
    });
  }

  /** Takes it off the machine, but for the platform's images, which the next test would have to build again. */
  async remove(): Promise<void> {
    const compose = join(this.paths.stack, 'compose.yaml');
    const text = existsSync(compose) ? readFileSync(compose, 'utf8') : '';
    const project = /^name: "(.+)"$/m.exec(text)?.[1];
    await this.run(['uninstall', '--yes']);
    if (project !== undefined) {
      const label = `label=${LABELS.project}=${project}`;
      await removeAll(['volume', 'ls', '--quiet', '--filter', label], ['volume', 'rm']);
      const built = `reference=holdfast-build/${project}-*`;
      await removeAll(['image', 'ls', '--quiet', '--filter', built], ['image', 'rm', '--force']);
    }
    await rm(this.root, { recursive: true, force: true });
  }
}

async function removeAll(list: readonly string[], remove: readonly string[]): Promise<void> {
  const { stdout } = await run('docker', list);
  const ids = new Set(stdout.split('\n').filter((id) => id !== ''));
  if (ids.size > 0) await run('docker', [...remove, ...ids]);
}
