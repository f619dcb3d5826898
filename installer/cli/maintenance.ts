import { posix } from 'node:path';
import type { Host } from '../host/host.ts';
import { maintenanceFiles } from '../model/maintenance.ts';
import type { ParsedArguments } from './command.ts';
import { serviceContainers } from './containers.ts';
import type { CliContext } from './context.ts';
import { guestAddresses } from './maintenance-guests.ts';
import { maintenanceState, maintenanceText } from './maintenance-state.ts';

const MESSAGE = 'We are working on this page. Please come back in a few minutes.';
const FILE = { mode: 0o644, uid: 0, gid: 0 };

/** `holdfast maintenance on`: from the next request on nginx answers 503 with a page, without a reload. */
export async function maintenanceOn(args: ParsedArguments, context: CliContext): Promise<number> {
  const server = await context.open(args.value('host'));
  const { host } = server;
  const files = maintenanceFiles(context.paths);
  const service = args.value('service');
  // An unknown one is refused by name.
  if (service !== undefined) await serviceContainers(server, context.paths, service);
  const guests = guestAddresses(args.value('allow-from') ?? '');
  // What is shown comes first and the switch last: a kill in between closes nothing.
  await host.write(files.page, pageText(args.value('message') ?? MESSAGE), FILE);
  await replaceGuests(host, files.guests, guests);
  await host.write(
    service === undefined ? files.all : posix.join(files.services, service),
    `${context.now().toISOString()}\n`,
    FILE,
  );
  const state = await maintenanceState(host, context.paths);
  if (state !== undefined) context.io.out(`${maintenanceText(state)}\n`);
  return 0;
}

/** `holdfast maintenance off`: of one service, or of everything. */
export async function maintenanceOff(args: ParsedArguments, context: CliContext): Promise<number> {
  const { host } = await context.open(args.value('host'));
  const files = maintenanceFiles(context.paths);
  const service = args.value('service');
  if (service === undefined) {
    await host.remove(files.all);
    await host.remove(files.folder, { recursive: true });
  } else {
    await host.remove(posix.join(files.services, service));
  }
  const state = await maintenanceState(host, context.paths);
  context.io.out(state === undefined ? 'maintenance is off\n' : `${maintenanceText(state)}\n`);
  return 0;
}

async function replaceGuests(host: Host, folder: string, guests: readonly string[]): Promise<void> {
  for (const gone of await host.list(folder)) {
    if (!guests.includes(gone)) await host.remove(posix.join(folder, gone));
  }
  for (const guest of guests) await host.write(posix.join(folder, guest), '', FILE);
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
