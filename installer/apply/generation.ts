import { posix } from 'node:path';
import { z } from 'zod';
import type { Host } from '../host/host.ts';
import type { HttpCheck, PortCheck, Reaction, RolledService } from '../model/contribution.ts';
import type { Desired, DesiredFile, FrontDoorCheck } from '../model/desired.ts';
import type { Paths } from '../model/paths.ts';
import { type WantedNetworks, wantedNetworks } from '../plan/networks.ts';
import { readText } from './read-text.ts';

/** What the last complete apply rendered: where a failing one goes back to. */
export interface Generation {
  readonly number: number;
  /** Rendered files below `paths.stack`, and the lock file that names their images, by absolute path. */
  readonly files: ReadonlyMap<string, DesiredFile>;
  /** Spec digest by stack service. */
  readonly specs: Readonly<Record<string, string>>;
  /** Absent in what was kept while compose made the networks. */
  readonly networks?: WantedNetworks | undefined;
  /** Services whose releases take turns; none in what was kept before there were any. */
  readonly rolled: readonly RolledService[];
  /** How its replicas are asked from outside. */
  readonly httpChecks: readonly HttpCheck[];
  readonly portChecks: readonly PortCheck[];
  /** What was asked at its end. */
  readonly frontDoor: readonly FrontDoorCheck[];
}

const ReactionSchema = z.custom<Reaction>(
  (value) => typeof value === 'object' && value !== null && 'kind' in value,
);

const RolledSchema = z.object({
  service: z.string(),
  port: z.int().exactOptional(),
  peerNetworks: z.array(z.string()),
  watchSeconds: z.number(),
});

const PortCheckSchema = z.object({
  service: z.string(),
  port: z.int(),
  intervalSeconds: z.number(),
  timeoutSeconds: z.number(),
  healthy: z.int(),
  unhealthy: z.int(),
});

const HttpCheckSchema = PortCheckSchema.extend({
  path: z.string(),
  expect: z.string().exactOptional(),
});

const FrontDoorSchema = z.object({
  service: z.string().exactOptional(),
  host: z.string(),
  path: z.string(),
  expect: z.string().exactOptional(),
});

const StoredSchema = z.object({
  version: z.literal(1),
  number: z.int(),
  files: z.array(
    z.object({
      path: z.string(),
      content: z.string(),
      mode: z.int(),
      uid: z.int(),
      gid: z.int(),
      secret: z.boolean(),
      onChange: z.array(ReactionSchema),
    }),
  ),
  specs: z.record(z.string(), z.string()),
  networks: z
    .object({
      networks: z.record(z.string(), z.object({ internal: z.boolean(), subnet: z.string() })),
      services: z.record(z.string(), z.array(z.string())),
      addresses: z.record(z.string(), z.record(z.string(), z.string())).exactOptional(),
    })
    .optional(),
  rolled: z.array(RolledSchema).optional(),
  httpChecks: z.array(HttpCheckSchema).optional(),
  portChecks: z.array(PortCheckSchema).optional(),
  frontDoor: z.array(FrontDoorSchema).optional(),
});

function generationPath(paths: Paths): string {
  return posix.join(paths.state, 'previous.json');
}

/** One file, so that it is replaced in one step. It holds secret environment values: 0600. */
export async function keepGeneration(
  host: Host,
  paths: Paths,
  desired: Desired,
  number: number,
): Promise<void> {
  const files = [...desired.files.values()].filter(
    ({ path }) => path.startsWith(`${paths.stack}/`) || path === paths.lock,
  );
  const { networks, services, addresses = {} } = wantedNetworks(desired.stack);
  const stored: z.infer<typeof StoredSchema> = {
    version: 1,
    number,
    files: files.map((file) => ({ ...file, onChange: [...file.onChange] })),
    specs: Object.fromEntries(desired.specs),
    networks: {
      networks,
      services: Object.fromEntries(
        Object.entries(services).map(([service, names]) => [service, [...names]]),
      ),
      addresses,
    },
    rolled: [...desired.rolled.values()].map((one) => ({
      ...one,
      peerNetworks: [...one.peerNetworks],
    })),
    httpChecks: [...desired.httpChecks],
    portChecks: [...desired.portChecks],
    frontDoor: [...desired.frontDoor],
  };
  await host.write(generationPath(paths), `${JSON.stringify(stored)}\n`, {
    mode: 0o600,
    uid: 0,
    gid: 0,
  });
}

/** Undefined before the first complete apply, and when the copy cannot be used. */
export async function readGeneration(host: Host, paths: Paths): Promise<Generation | undefined> {
  const text = await readText(host, generationPath(paths));
  if (text === undefined) return undefined;
  const stored = StoredSchema.safeParse(parseJson(text));
  if (!stored.success) return undefined;
  const {
    number,
    files,
    specs,
    networks,
    rolled = [],
    httpChecks = [],
    portChecks = [],
    frontDoor = [],
  } = stored.data;
  return {
    number,
    specs,
    networks,
    rolled,
    httpChecks,
    portChecks,
    frontDoor,
    files: new Map(files.map((file) => [file.path, file])),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
