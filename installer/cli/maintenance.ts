import { posix } from 'node:path';
import { SYSTEM_CLOCK } from '../apply/context.ts';
import { maintenanceFiles } from '../model/maintenance.ts';
import { waitForMaintenance } from '../rollout/edge-view.ts';
import { appliedAgentSettings } from './applied.ts';
import type { ParsedArguments } from './command.ts';
import { serviceContainers } from './containers.ts';
import type { CliContext, Server } from './context.ts';
import { guestAddresses } from './maintenance-guests.ts';
import { maintenanceState, maintenanceText } from './maintenance-state.ts';

const MESSAGE = 'We are working on this page. Please come back in a few minutes.';
const FILE = { mode: 0o644, uid: 0, gid: 0 };

/** `holdfast maintenance on`: when it returns, nginx answers every request with 503 and a page, without a reload. */
export async function maintenanceOn(args: ParsedArguments, context: CliContext): Promise<number> {
  const server = await context.open(args.value('host'));
  const { host } = server;
  const { project } = await appliedAgentSettings(host, context.paths);
  const files = maintenanceFiles(context.paths);
  const service = args.value('service');
  // An unknown one is refused by name.
  if (service !== undefined) await serviceContainers(server, context.paths, service);
  const guests = guestAddresses(args.value('allow-from') ?? '');
  // What is shown comes first and the switch last: a kill in between closes nothing.
  await host.write(files.page, pageText(args.value('message') ?? MESSAGE), FILE);
  await host.write(files.guests, guests.map((guest) => `${guest}\n`).join(''), FILE);
  await host.write(
    service === undefined ? files.all : posix.join(files.services, service),
    `${context.now().toISOString()}\n`,
    FILE,
  );
  await tellInForce({ ...server, project }, context);
  return 0;
}

/** `holdfast maintenance off`: of one service, or of everything. */
export async function maintenanceOff(args: ParsedArguments, context: CliContext): Promise<number> {
  const server = await context.open(args.value('host'));
  const { host } = server;
  const { project } = await appliedAgentSettings(host, context.paths);
  const files = maintenanceFiles(context.paths);
  const service = args.value('service');
  if (service === undefined) {
    await host.remove(files.all);
    await host.remove(files.folder, { recursive: true });
  } else {
    await host.remove(posix.join(files.services, service));
  }
  await tellInForce({ ...server, project }, context);
  return 0;
}

/** What is closed now, once nginx says so too. */
async function tellInForce(
  edge: Server & { readonly project: string },
  { io, paths }: CliContext,
): Promise<void> {
  const state = await maintenanceState(edge.host, paths);
  await waitForMaintenance({ ...edge, clock: SYSTEM_CLOCK }, state);
  io.out(state === undefined ? 'maintenance is off\n' : `${maintenanceText(state)}\n`);
}

function pageText(message: string): string {
  const text = message.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>Maintenance</title>
</head>
<body>
<h1>Maintenance</h1>
<p>${text}</p>
<p><small>503</small></p>
</body>
</html>
`;
}
