import { type ApplyOutcome, type ApplyRequest, apply } from '../../installer/apply/apply.ts';
import type { ApplyContext } from '../../installer/apply/context.ts';
import { composeRunOnce } from '../../installer/engine/compose.ts';
import { edgeStatePath } from '../../installer/engine/edge-state.ts';
import type { Desired } from '../../installer/model/desired.ts';
import { EMPTY_EDGE_STATE, parseEdgeState } from '../../installer/model/edge-state.ts';
import type { EdgeStatus } from '../../installer/model/edge-status.ts';
import type { ProgressEvent } from '../../installer/model/events.ts';
import { LABELS } from '../../installer/model/labels.ts';
import type { Plan } from '../../installer/model/operation.ts';
import { type Paths, pathsUnder } from '../../installer/model/paths.ts';
import {
  LOOK_FOR_STAND_IN_TABLE,
  REMOVE_STAND_IN_TABLE,
  REMOVE_STAND_IN_TABLES,
} from '../../installer/model/stand-in.ts';
import type { Observed } from '../../installer/plan/observed.ts';
import { SecretStore } from '../../installer/secrets/store.ts';
import { installFakeDocker } from '../support/fake-docker.ts';
import { FakeEngine } from '../support/fake-engine.ts';
import type { Behaviour } from '../support/fake-objects.ts';
import { type Call, MemoryHost } from '../support/memory-host.ts';
import { type Disk, installCoreutils } from './coreutils.ts';
import { processOn, SERVER, TestClock } from './process.ts';

export const PATHS: Paths = pathsUnder();

const MIGRATION = composeRunOnce(
  { project: 'demo', directory: PATHS.stack, secrets: true },
  'web',
  ['migrate'],
).argv;

/** The first words of a migration's command line. */
export const MIGRATE = MIGRATION.slice(0, MIGRATION.indexOf('run') + 2);

/** A server in memory, and what one needs to apply to it. */
export class World {
  readonly host = new MemoryHost();
  readonly engine = new FakeEngine(this.host.effects);
  readonly clock = new TestClock();
  readonly events: ProgressEvent[] = [];
  readonly disk: Disk;
  readonly context: ApplyContext;
  /** Answers of the probe over HTTP: status by service address, 200 when absent. */
  httpStatus = 200;
  /** The same for one address. */
  httpStatusOf: (url: string) => number = () => this.httpStatus;
  /** Whether our rules send new connections to a stand-in. */
  isDiverted = false;
  /** Whether the kernel goes on with what a stand-in has over IPv6. */
  isKept = false;
  /** Whether nft may do nothing on this server. */
  isNftRefused = false;
  /** Images whose containers do not become healthy. */
  readonly sickImages = new Set<string>();
  /** Images whose containers end at once, again and again. */
  readonly endingImages = new Set<string>();
  #pid = 100;

  constructor() {
    const { host, engine, events, clock } = this;
    this.disk = installCoreutils(host);
    installFakeDocker(host, engine);
    this.#installMore();
    this.#makeImagesSick();
    for (const program of ['nginx', 'psql', 'redis-cli']) engine.onExec([program], () => ({}));
    this.context = {
      host,
      engine,
      paths: PATHS,
      project: 'demo',
      clock,
      report: (event) => events.push(event),
      secrets: new SecretStore(host, PATHS),
      releases: { fill: async () => undefined },
      images: {
        bake: async (_targets, references, onBase) => {
          await onBase('holdfast/base:trixie-1');
          const images = JSON.stringify(
            ['holdfast/base:trixie-1', ...references].map((reference) => ({ reference })),
          );
          await host.run({
            argv: ['docker', 'buildx', 'bake'],
            env: { HOLDFAST_IMAGES: images },
          });
        },
        pull: async (reference) => {
          await host.run({ argv: ['docker', 'pull', reference] });
        },
        build: async (reference) => {
          await host.run({ argv: ['docker', 'buildx', 'build', '--tag', reference, '.'] });
        },
      },
    };
  }

  /** A new run of the program on this server. */
  async apply(
    render: (observed: Observed) => Desired,
    more: Partial<ApplyRequest> = {},
  ): Promise<ApplyOutcome> {
    this.#pid += 1;
    let digest = '';
    return apply(this.context, {
      process: processOn(SERVER, { pid: this.#pid }),
      command: 'holdfast apply',
      waitSeconds: 0,
      render: async (observed) => {
        const desired = render(observed);
        digest = desired.configDigest;
        return desired;
      },
      confirm: async () => true,
      configDigest: async () => digest,
      ...more,
    });
  }

  /** As nginx answers that follows the state at once and has nothing on its way. */
  edgeStatus(): EdgeStatus {
    const { generation, services } =
      parseEdgeState(this.text(edgeStatePath(PATHS)) ?? '') ?? EMPTY_EDGE_STATE;
    const listed = Object.entries(services).map(([name, { replicas }]) => [
      name,
      Object.fromEntries(
        replicas.map(({ container, state }) => [container, { address: '', state }]),
      ),
    ]);
    return {
      generation,
      services: Object.fromEntries(listed),
      inFlight: {},
      maintenance: { all: false, services: '', guests: '' },
    };
  }

  text(path: string): string | undefined {
    return this.host.files.text(path);
  }

  /** Service, spec, image and state of every container, without ids. */
  containers(): string[] {
    return this.engine
      .all()
      .map(
        ({ name, labels, imageReference, status, health }) =>
          `${name} ${labels[LABELS.spec]} ${imageReference} ${status} ${health}`,
      )
      .sort();
  }

  containerId(service: string): string | undefined {
    return this.engine.all().find((container) => container.service === service)?.id;
  }

  /** The engine's behaviours go by service; here the image decides each time a container starts. */
  #makeImagesSick(): void {
    const { engine, sickImages, endingImages } = this;
    const start = engine.start.bind(engine);
    let deciding = false;
    engine.start = (id) => {
      // `behave` changes those that run as well: they are of another image.
      if (deciding) return;
      const found = engine.all().find((one) => one.id === id);
      if (found !== undefined && sickImages.size + endingImages.size > 0) {
        deciding = true;
        const sick: Behaviour = { health: 'unhealthy', logs: 'cannot reach db\n' };
        const ending: Behaviour = endingImages.has(found.imageReference) ? { keepsExiting: 3 } : {};
        engine.behave(found.service, sickImages.has(found.imageReference) ? sick : ending);
        deciding = false;
      }
      start(id);
    };
  }

  #installMore(): void {
    const { host, engine } = this;
    host.on(['docker', 'run'], () => ({}));
    host.on(['docker', 'container', 'restart'], ({ rest }) => {
      for (const id of rest) engine.start(id);
      return undefined;
    });
    host.on(['docker', 'ps', '--all', '--filter'], ({ rest }) => this.#usersOf(rest), {
      looks: true,
    });
    const answer = ({ argv }: Call) => ({
      stdout: argv.at(-1)?.endsWith('/replicas')
        ? JSON.stringify(this.edgeStatus())
        : `ok\n${this.httpStatusOf(argv.at(-1) ?? '')}`,
    });
    host.on(['curl'], answer, { looks: true });
    host.on(['systemctl'], () => ({}));
    const refused = { exitCode: 1, stderr: 'Operation not permitted (you must be root)\n' };
    const nft = (isDiverted: boolean, isKept: boolean) => () => {
      if (this.isNftRefused) return refused;
      this.isDiverted = isDiverted;
      this.isKept = isKept;
      return {};
    };
    host.on(['nft', '--file', '-'], nft(true, true));
    host.on(REMOVE_STAND_IN_TABLE, () => nft(false, this.isKept)());
    host.on(REMOVE_STAND_IN_TABLES, nft(false, false));
    const look = () => ({ exitCode: this.isDiverted && !this.isNftRefused ? 0 : 1 });
    host.on(LOOK_FOR_STAND_IN_TABLE, look, { looks: true });
    host.on(['fail2ban-client'], () => ({}));
    host.on(MIGRATE, () => ({}));
  }

  #usersOf(rest: Call['rest']): { stdout: string } {
    const volume = rest[0]?.replace('volume=', '');
    const users = this.engine.all().filter(({ service }) => `demo_${service}` === volume);
    return { stdout: users.map(({ name }) => `${name}\n`).join('') };
  }
}

export function kinds({ operations }: Plan): string[] {
  return operations.map(({ id }) => id);
}
