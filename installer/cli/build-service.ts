import { posix } from 'node:path';
import type { Host } from '../host/host.ts';
import { type BuildRequest, buildImage } from '../images/build.ts';
import { dockerfileOf } from '../images/context-digest.ts';
import { keepOnly, sendContext } from '../images/send-context.ts';
import type { CliContext, Server } from './context.ts';

/** Builds the image of a service on the server; a context of another machine is brought there first. */
export async function buildService(
  { paths }: Pick<CliContext, 'paths'>,
  { host }: Pick<Server, 'host'>,
  build: {
    /** The machine of the config file. */
    readonly sources: Host;
    readonly request: BuildRequest;
    readonly onLine: (line: string) => void;
  },
): Promise<void> {
  const { sources, request, onLine } = build;
  if (sources === host) return buildImage(host, request, onLine);
  const { action, service } = request;
  const folder = posix.join(paths.state, 'builds', service);
  onLine(`sending ${action.context} to ${host.name}`);
  const sent = await sendContext(sources, host, folder, action);
  const there = { ...action, context: sent.context, dockerfile: dockerfileOf(sent) };
  await buildImage(host, { ...request, action: there }, onLine);
  await keepOnly(host, folder, sent);
}
