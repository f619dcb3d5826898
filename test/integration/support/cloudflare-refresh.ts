import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { cloudflareRefresh } from '../../../installer/cli/cloudflare.ts';
import { commandTable } from '../../../installer/cli/table.ts';
import { DockerEngine } from '../../../installer/engine/docker.ts';
import { LocalHost } from '../../../installer/host/local.ts';
import type { Appliance } from '../../support/appliance.ts';
import { type CliRun, runCommand } from '../../support/cli.ts';

export interface PublishedLists {
  readonly v4: readonly string[];
  readonly v6: readonly string[];
  readonly status?: number;
}

/** Runs `holdfast cloudflare refresh` on the appliance, with a server in Cloudflare's place that answers this. */
export async function refreshFrom(
  t: Test,
  { paths }: Appliance,
  { v4, v6, status = 200 }: PublishedLists,
): Promise<CliRun> {
  const server = createServer((request, response) => {
    response.writeHead(status).end((request.url === '/v4' ? v4 : v6).join('\n'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const engine = new DockerEngine();
  t.teardown(() => engine.close());
  const { port } = server.address() as AddressInfo;
  const urls = { v4: `http://127.0.0.1:${port}/v4`, v6: `http://127.0.0.1:${port}/v6` };
  const table = commandTable.map((command) =>
    command.name === 'cloudflare refresh' ? { ...command, run: cloudflareWith(urls) } : command,
  );
  try {
    return await runCommand(['cloudflare', 'refresh'], table, {
      server: { host: new LocalHost(), engine },
      more: { paths, now: () => new Date() },
    });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function cloudflareWith(urls: { readonly v4: string; readonly v6: string }) {
  return (...[args, context]: Parameters<typeof cloudflareRefresh>) =>
    cloudflareRefresh(args, context, urls);
}
