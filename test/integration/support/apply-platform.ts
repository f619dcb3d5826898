import type { Desired } from '../../../installer/model/desired.ts';
import { lockFileText } from '../../../installer/model/lock-file.ts';
import type { Paths } from '../../../installer/model/paths.ts';
import { Secret } from '../../../installer/model/secret.ts';
import type { StackService } from '../../../installer/model/stack.ts';
import type { Observed } from '../../../installer/plan/observed.ts';
import { composeSecretsText, composeText } from '../../../installer/render/compose-file.ts';
import { specDigest } from '../../../installer/render/stack.ts';
import { desiredFile, desiredWith } from '../../support/desired.ts';

export interface CrashPlatform {
  readonly root: string;
  readonly project: string;
  readonly image: string;
  /** Second and third octet of the network. */
  readonly subnet: string;
  /** Changes the file that the edge reloads. */
  readonly edge: string;
  /** Changes the definition of the app. */
  readonly app: string;
}

/** A database with a volume, an app after it, and an edge that reloads: small programs, real containers. */
export function crashPlatform(
  { project, image, subnet, edge, app }: CrashPlatform,
  paths: Paths,
): (observed: Observed) => Desired {
  return (observed) => {
    const password = observed.secrets.get('DB_PASSWORD') ?? new Secret(crypto.randomUUID());
    const environment = { app: { DB_PASSWORD: password } };
    const services = {
      db: service(image, 'test -e /data/marker || cat /proc/sys/kernel/random/uuid >/data/marker', {
        volumes: [{ type: 'volume', source: 'data', target: '/data' }],
      }),
      app: service(image, `echo ${app} >/tmp/app`, {
        depends_on: { db: { condition: 'service_healthy' } },
      }),
      edge: service(image, 'cat /etc/edge/edge.conf >/tmp/loaded', {
        volumes: [
          { type: 'bind', source: `${paths.stack}/edge`, target: '/etc/edge', read_only: true },
        ],
        depends_on: { app: { condition: 'service_healthy' } },
      }),
    };
    const stack = {
      project,
      services,
      networks: { front: { internal: true, subnet: `10.${subnet}.0/24` } },
      volumes: { data: { component: 'db' } },
    };
    const specs = new Map([
      ['db', specDigest(services.db, undefined)],
      ['app', specDigest(services.app, environment.app)],
      ['edge', specDigest(services.edge, undefined)],
    ]);
    const secret = { secret: true, mode: 0o600 };
    return desiredWith({
      project,
      stack,
      specs,
      fileList: [
        desiredFile(`${paths.stack}/compose.yaml`, composeText(stack, specs)),
        desiredFile(`${paths.stack}/compose.secrets.yaml`, composeSecretsText(environment), secret),
        desiredFile(paths.lock, lockFileText(observed.lock)),
        desiredFile(`${paths.stack}/edge/edge.conf`, `${edge}\n`, {
          onChange: [{ kind: 'reload', service: 'edge' }],
        }),
      ],
      newSecrets: observed.secrets.has('DB_PASSWORD')
        ? new Map()
        : new Map([['DB_PASSWORD', password]]),
      reloads: { edge: { argv: ['sh', '-c', 'cat /etc/edge/edge.conf >/tmp/loaded'] } },
      provisions: [
        {
          id: 'db-roles',
          service: 'db',
          argv: ['sh', '-c', 'cat >/data/roles'],
          stdin: password.reveal(),
          digest: 'roles',
          summary: 'roles',
        },
      ],
      directories: [
        { path: paths.stack, mode: 0o755, uid: 0, gid: 0 },
        { path: paths.secrets, mode: 0o700, uid: 0, gid: 0 },
      ],
      configDigest: `${edge} ${app}`,
    });
  };
}

function service(image: string, start: string, more: Partial<StackService>): StackService {
  return {
    image,
    entrypoint: ['sh', '-c', `${start}; >/tmp/well; exec sleep 600`],
    init: true,
    tmpfs: ['/tmp'],
    networks: { front: null },
    healthcheck: { test: ['CMD', 'test', '-e', '/tmp/well'], interval: '1s', retries: 10 },
    mem_limit: 32 * 1024 ** 2,
    ...more,
  };
}
