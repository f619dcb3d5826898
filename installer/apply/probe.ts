import type { ContainerState } from '../engine/engine.ts';
import type { Host } from '../host/host.ts';
import type { HttpCheck, PortCheck } from '../model/contribution.ts';

/**
 * Undefined when the replica answers as it should, else why not. Asked from the host, over the container's
 * network: the image needs no client for it.
 */
export async function probe(
  host: Host,
  check: HttpCheck | PortCheck,
  { name, addresses }: ContainerState,
): Promise<string | undefined> {
  const address = Object.values(addresses).find((candidate) => candidate !== '');
  if (address === undefined) return `${name} has no address`;
  return 'path' in check ? askHttp(host, check, address) : connect(host, check, address);
}

async function askHttp(host: Host, check: HttpCheck, address: string): Promise<string | undefined> {
  const { exitCode, stdout, stderr } = await host.run({
    argv: [
      'curl',
      '--silent',
      '--show-error',
      '--noproxy',
      '*',
      '--max-time',
      String(check.timeoutSeconds),
      '--write-out',
      '\\n%{http_code}',
      `http://${address}:${check.port}${check.path}`,
    ],
    okExitCodes: ALL_EXIT_CODES,
    timeoutSeconds: check.timeoutSeconds + 10,
  });
  if (exitCode !== 0) return `GET ${check.path} on port ${check.port}: ${stderr.trim()}`;
  const split = stdout.lastIndexOf('\n');
  const status = stdout.slice(split + 1);
  if (!/^[23]\d\d$/.test(status)) {
    return `GET ${check.path} on port ${check.port} answered ${status}`;
  }
  if (check.expect !== undefined && !stdout.slice(0, split).includes(check.expect)) {
    return `the answer to GET ${check.path} does not hold ${JSON.stringify(check.expect)}`;
  }
  return undefined;
}

/** Bash opens the connection: curl would speak to a service whose language nobody knows. */
async function connect(
  host: Host,
  { port, timeoutSeconds }: PortCheck,
  address: string,
): Promise<string | undefined> {
  const { exitCode } = await host.run({
    argv: [
      'timeout',
      String(timeoutSeconds),
      'bash',
      '-c',
      'exec 3<>"/dev/tcp/$1/$2"',
      'bash',
      address,
      String(port),
    ],
    okExitCodes: ALL_EXIT_CODES,
    timeoutSeconds: timeoutSeconds + 10,
  });
  return exitCode === 0 ? undefined : `port ${port} takes no connection`;
}

/** Each exit code of these programs is an answer about the replica. */
const ALL_EXIT_CODES = Array.from({ length: 256 }, (_, code) => code);
